"""`vapora ml`: what the detector of machine-learning work says, and how good it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ValidationError

from vapora.cli.exits import Exit
from vapora.cli.options import fail, show_examples

if TYPE_CHECKING:
    from vapora.core.gpu.evaluation import Case, Evaluation, Wrong
    from vapora.core.gpu.vocabulary import Vocabulary

ml = typer.Typer(help="Explain and judge the detection of machine-learning work.", no_args_is_help=True)

Cases = Annotated[Path, typer.Argument(metavar="FILE", help='Cases with their right answers: JSON, {"cases": [...]}.')]
Words = Annotated[Path | None, typer.Option("--vocabulary", metavar="FILE", help="Another vocabulary than our own.")]
Output = Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="How it is printed.")]


@ml.command("evaluate", epilog=show_examples("ml evaluate cases.json -o json"))
def evaluate_cases(file: Cases, vocabulary: Words = None, output: Output = "text") -> None:
    """Say how many cases come out right, and which do not; the exit code is 1 where any is wrong."""
    from vapora.core.gpu.evaluation import evaluate  # noqa: PLC0415  # slow, as below

    found = evaluate(_read_cases(file), _read_vocabulary(vocabulary))
    typer.echo(_write_json(found) if output == "json" else _write_text(found))
    raise typer.Exit(Exit.FAILED if found.wrong else Exit.DONE)


@ml.command("explain", epilog=show_examples("ml explain 'fine-tune a model' --image pytorch/pytorch:2.4"))
def explain_text(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The step's description.")],
    image: Annotated[str, typer.Option(help="Its image.")] = "",
    command: Annotated[str, typer.Option(help="Its command, as one would type it.")] = "",
    vocabulary: Words = None,
    output: Output = "text",
) -> None:
    """Show what the detector says of a step, and by which words."""
    import shlex  # noqa: PLC0415

    from vapora.core.gpu.decision import build_ml_status, decide_ml  # noqa: PLC0415
    from vapora.core.gpu.detector import DetectionInput, detect  # noqa: PLC0415

    try:
        words = tuple(shlex.split(command))
    except ValueError as problem:
        raise fail(f"--command: {problem}, found {command!r}", Exit.USAGE) from None
    found = detect(DetectionInput(description=text, image=image, command=words), _read_vocabulary(vocabulary))
    if output == "json":
        typer.echo(json.dumps(build_ml_status(decide_ml(found)), indent=2, ensure_ascii=False))
        return
    typer.echo(f"{found.ml_class}, {'' if found.is_ml else 'not '}machine learning ({found.confidence:.0%} sure)")
    typer.echo(found.sentence)
    for evidence in found.evidence:
        denied = "  denied" if evidence.negated else ""
        typer.echo(f"  {evidence.weight:4.2f}  {evidence.where:<12} {evidence.term}{denied}")


@ml.command("refit", epilog=show_examples("ml refit cases.json --out vocabulary.json"))
def refit_weights(
    file: Cases,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the vocabulary with the new weights is written.")],
    vocabulary: Words = None,
) -> None:
    """Move weights of the vocabulary so that fewer of the cases are wrong; no new word is learnt."""
    from vapora.core.gpu.evaluation import evaluate, refit, write_weights  # noqa: PLC0415
    from vapora.core.gpu.vocabulary import parse_vocabulary, read_document  # noqa: PLC0415

    cases, before = _read_cases(file), _read_vocabulary(vocabulary)
    document = read_document() if vocabulary is None else vocabulary.read_text("utf-8")
    weights = refit(cases, before)
    written = write_weights(document, weights)
    out.write_text(written, "utf-8")
    for name, weight in sorted(weights.items()):
        typer.echo(f"  {name}: {weight:g}")
    for label, words in (("before", before), ("after", parse_vocabulary(written))):
        typer.echo(f"{label}: {_summarize(evaluate(cases, words))}")


def _read_cases(file: Path) -> tuple[Case, ...]:
    from vapora.core.gpu.evaluation import read_cases  # noqa: PLC0415
    from vapora.core.supported import describe_validation  # noqa: PLC0415

    try:
        return read_cases(file.read_text("utf-8"))
    except ValidationError as problem:
        raise fail(describe_validation(problem, str(file)), Exit.USAGE) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise fail(f"{file}: {problem}", Exit.USAGE) from None


def _read_vocabulary(file: Path | None) -> Vocabulary:
    from vapora.core.gpu.vocabulary import load_vocabulary, parse_vocabulary  # noqa: PLC0415
    from vapora.core.supported import describe_validation  # noqa: PLC0415

    try:
        return load_vocabulary() if file is None else parse_vocabulary(file.read_text("utf-8"))
    except ValidationError as problem:
        raise fail(describe_validation(problem, str(file)), Exit.USAGE) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise fail(f"{file}: {problem}", Exit.USAGE) from None


def _write_json(found: Evaluation) -> str:
    content = {
        "accuracy": found.accuracy,
        "precision": found.precision,
        "recall": found.recall,
        "wrong": [_describe(entry) for entry in found.wrong],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _describe(entry: Wrong) -> dict[str, object]:
    case, found = entry.case, entry.found
    return {
        "text": case.text,
        **({"image": case.image} if case.image else {}),
        **({"command": list(case.command)} if case.command else {}),
        "want": case.want.model_dump(by_alias=True, exclude_none=True),
        "found": {"class": found.ml_class, "isMl": found.is_ml, "source": found.source, "gpus": found.gpus},
        "confidence": found.confidence,
        "sentence": found.sentence,
    }


def _write_text(found: Evaluation) -> str:
    lines = [_summarize(found)]
    for entry in found.wrong:
        case = entry.case
        said = " ".join(filter(None, (case.text, case.image, " ".join(case.command))))
        is_ml = "machine learning" if case.want.is_ml else "no machine learning"
        lines.append(f"wrong: {said}")
        lines.append(f"  wanted {case.want.class_}, {is_ml}; found {entry.found.ml_class}: {entry.found.sentence}")
    return "\n".join(lines)


def _summarize(found: Evaluation) -> str:
    right = found.total - len(found.wrong)
    shares = f"accuracy {found.accuracy:.1%}, precision {found.precision:.1%}, recall {found.recall:.1%}"
    return f"{right} of {found.total} right: {shares}"
