"""The task `build.image`: a Job builds the image of a Taskserv from its source, with Kaniko or BuildKit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from vapora.api.base import Image, ObjectName, RawObject, SecretKeyRef
from vapora.api.taskserv import TaskservSpec
from vapora.core.calls import ObjectRef, ReadCall
from vapora.core.naming import API_VERSION
from vapora.core.pods import PodParts
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.tasks.provisioning.installing.jobs import build_job, follow_job, has_job, start_job, stop_job
from vapora.core.tasks.registry import TaskType
from vapora.core.taskserv.objects.template import resolve_image
from vapora.core.views import child
from vapora.core.workflow.procedure import Ask, Finished, Next, Situation

Repository = Annotated[str, Field(pattern=r"^https?://[^\s@#]+$", max_length=4096)]
_LOGIN_KEY, _LOGIN_FILE = ".dockerconfigjson", "config.json"
_VOLUME = "login"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Is what to build: from which branch and folder of a repository, by which file, and under which name."""

    repository: str
    branch: str
    path: str
    dockerfile: str
    destination: str


class BuildImage(TaskType):
    """Builds an image and pushes it; an image that was pushed stays."""

    taskserv: ObjectName
    """The Taskserv; its `source` and `build` say what is built, its `image` the name."""
    builder: Literal["kaniko", "buildkit"]
    """What builds it."""
    repository: Repository | None = None
    """The repository's address by HTTP, where the Taskserv's is another."""
    destination: Image | None = None
    """The name under which it is pushed, where that is not the Taskserv's image."""
    login: ObjectName | None = None
    """The Secret of type kubernetes.io/dockerconfigjson with the login to the registry."""
    git_token: SecretKeyRef | None = None
    """The Secret with a token that may read the repository."""
    image: Image | None = None
    """The builder's image, where it is another."""
    pod_template: RawObject | None = None
    """Any further fields of the Pod, merged over what the operator makes."""

    def plan(self, situation: Situation) -> Next:
        """Reads the Taskserv, then makes and follows the Job."""
        if has_job(situation):
            return _tell(follow_job(situation))
        return Ask(ReadCall((ObjectRef(API_VERSION, "Taskserv", situation.namespace, self.taskserv),)))

    def observe(self, situation: Situation) -> Next:
        """Makes the Job once it is known what is to be built."""
        answer = situation.answer
        assert answer is not None  # noqa: S101  # observe is asked with an answer
        if has_job(situation):
            return _tell(follow_job(situation))
        if answer.is_failure:
            return fail_call(answer)
        found = answer.value[0] if isinstance(answer.value, list) else None
        if not isinstance(found, Mapping):
            return fail("NotFound", f"params.taskserv: Taskserv {self.taskserv} is not there")
        recipe = self._read_recipe(found)
        if isinstance(recipe, str):
            return fail("InvalidInput", f"Taskserv {self.taskserv}: {recipe}")
        return start_job(situation, build_job(situation, _BUILDERS[self.builder](self, recipe)))

    def compensate(self, situation: Situation) -> Next:
        """Stops a Job that may still run."""
        if situation.answer is None and (stop := stop_job(situation)):
            return stop
        if situation.answer is not None and situation.answer.is_failure:
            return fail_call(situation.answer)
        return Finished({"note": "an image that was pushed stays"})

    def _read_recipe(self, found: Mapping[str, object]) -> Recipe | str:
        """Returns what is to be built, or what is not configured."""
        try:
            spec = TaskservSpec.model_validate(child(found, "spec"))
        except ValidationError:
            return "its spec makes no sense; its own status says where"
        if spec.build is None:
            return "spec.build is not set, so nothing says how its image is built"
        source = spec.source
        repository = self.repository or (source.repository if source else None)
        if not repository:
            return "spec.source.repository is not set, so nothing says where its code stands"
        if not repository.startswith(("https://", "http://")):
            return f"spec.source.repository is {repository}; a builder takes https: params.repository can name that one"
        return Recipe(
            repository=repository,
            branch=(source.branch if source else None) or "main",
            path=((source.path if source else None) or "").strip("/"),
            dockerfile=spec.build.dockerfile or "Dockerfile",
            destination=self.destination or resolve_image(spec),
        )


def _build_kaniko(task: BuildImage, recipe: Recipe) -> PodParts:
    """Builds as root in its own container, with the capabilities to unpack other images: level `baseline`."""
    volumes, mounts = _mount_login(task.login, "/kaniko/.docker")
    args = [
        f"--context=git://{recipe.repository.partition('://')[2]}#refs/heads/{recipe.branch}",
        f"--dockerfile={recipe.dockerfile}",
        f"--destination={recipe.destination}",
        "--digest-file=/dev/termination-log",
    ]
    if recipe.path:
        args.insert(1, f"--context-sub-path={recipe.path}")
    return PodParts(
        image=task.image or "gcr.io/kaniko-project/executor:v1.24.0",
        args=args,
        env={
            "GIT_PULL_METHOD": recipe.repository.partition(":")[0],
            **_refer_token("GIT_TOKEN", task.git_token),
        },
        volumes=volumes,
        volume_mounts=mounts,
        container={
            "securityContext": {"capabilities": {"add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]}}
        },
        pod={"securityContext": {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}},
        pod_template=task.pod_template,
    )


def _build_buildkit(task: BuildImage, recipe: Recipe) -> PodParts:
    """Builds without root, in namespaces of its own, for which it needs what the level `baseline` refuses."""
    volumes, mounts = _mount_login(task.login, "/home/user/.docker")
    place = f"{recipe.branch}:{recipe.path}" if recipe.path else recipe.branch
    args = ["build", "--frontend", "dockerfile.v0", "--opt", f"context={recipe.repository}#{place}"]
    args += ["--opt", f"filename={recipe.dockerfile}", "--output", f"type=image,name={recipe.destination},push=true"]
    if task.git_token:
        args += ["--secret", "id=GIT_AUTH_TOKEN,env=GIT_AUTH_TOKEN"]
    unconfined = {"type": "Unconfined"}
    return PodParts(
        image=task.image or "moby/buildkit:v0.23.2-rootless",
        command=("buildctl-daemonless.sh",),
        args=args,
        env={
            "BUILDKITD_FLAGS": "--oci-worker-no-process-sandbox",
            **_refer_token("GIT_AUTH_TOKEN", task.git_token),
        },
        volumes=[*volumes, {"name": "state", "emptyDir": {}}],
        volume_mounts=[*mounts, {"name": "state", "mountPath": "/home/user/.local/share/buildkit"}],
        container={
            "securityContext": {"allowPrivilegeEscalation": True, "capabilities": {"add": ["SETGID", "SETUID"]}}
        },
        pod={
            "securityContext": {
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "runAsNonRoot": True,
                "seccompProfile": unconfined,
                "appArmorProfile": unconfined,
            }
        },
        pod_template=task.pod_template,
    )


_BUILDERS: Mapping[str, Callable[[BuildImage, Recipe], PodParts]] = {
    "kaniko": _build_kaniko,
    "buildkit": _build_buildkit,
}


def _mount_login(secret: str | None, folder: str) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    if secret is None:
        return [], []
    items = [{"key": _LOGIN_KEY, "path": _LOGIN_FILE}]
    volume: dict[str, object] = {"name": _VOLUME, "secret": {"secretName": secret, "items": items}}
    return [volume], [{"name": _VOLUME, "mountPath": folder, "readOnly": True}]


def _refer_token(variable: str, ref: SecretKeyRef | None) -> dict[str, str]:
    return {variable: f"secret:{ref.name}:{ref.key}"} if ref else {}


def _tell(what: Next) -> Next:
    """Gives the digest as result, where the builder's last words are one."""
    if not isinstance(what, Finished):
        return what
    words = str(what.result).strip()
    return Finished({"digest": words if words.startswith("sha256:") else None})
