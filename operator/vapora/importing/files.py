"""Files that a param names: read beside the workflow's file into immutable ConfigMaps, so that a run never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vapora.api.cluster import ClusterDefinition
from vapora.core.catalog import build_cluster, build_file_reference, build_files
from vapora.importing.dialects.draft import Imported
from vapora.importing.dialects.fields import Fields
from vapora.importing.dialects.infrastructure import read_cluster
from vapora.importing.reading.kcl_file import compile_kcl
from vapora.importing.reading.places import Place, Remark, refuse
from vapora.importing.reading.sources import Source
from vapora.importing.reading.text import read_text

MAX_FILES_BYTES = 900 * 1024  # a ConfigMap has 1 MiB at most


@dataclass(slots=True)
class ParamFiles:
    """Reads the files of one workflow; `objects` are the ConfigMaps made for it."""

    source: Source
    is_missing_allowed: bool
    objects: dict[str, Imported] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    def refer_cluster(self, path: str, namespace: str, place: Place) -> Mapping[str, str]:
        """Compiles the definition of a cluster; returns how the task refers to it."""
        found = self._find(path, place)
        if len(found) != 1:
            raise refuse(place, f"there is no file {path} beside this one, nor in a folder above it")
        shown = self.source.show(found[0])
        compiled = compile_kcl(found[0], shown)
        clusters = [key for key, schema in compiled.document.defines.items() if schema == "Cluster"]
        if len(clusters) != 1:
            raise refuse(Place(shown), f"it defines {len(clusters)} clusters; one is needed here")
        draft = read_cluster(
            Fields(compiled.document, tuple(clusters), compiled.document.value[clusters[0]], "cluster")
        )
        manifest, reference = build_cluster(draft.build_spec(ClusterDefinition), namespace)
        self.objects[reference["configMap"]] = Imported(manifest, (draft.origin,))
        return reference

    def refer_texts(self, patterns: Sequence[str], workflow: str, namespace: str, place: Place) -> object:
        """Reads the files of patterns; returns how the task refers to them, in order."""
        data: dict[str, str] = {}
        sources: list[Place] = []
        for pattern in patterns:
            found = self._find(pattern, place)
            if not found:
                told = f"no file is called {pattern}, beside this one or in a folder above it"
                if not self.is_missing_allowed:
                    raise refuse(place, f"{told}; --allow-missing goes on without")
                self.remarks.append(Remark(place, "warning", told))
            for path in found:
                if path.name in data:
                    raise refuse(place, f"two files are called {path.name}; each needs its own name")
                data[path.name] = read_text(path, self.source.show(path))
                sources.append(Place(self.source.show(path)))
        if not data:
            return []
        size = sum(len(text.encode()) for text in data.values())
        if size > MAX_FILES_BYTES:
            raise refuse(place, f"the files have {size} bytes together; allowed are {MAX_FILES_BYTES}")
        manifest, name = build_files(f"{workflow}-files", namespace, data)
        self.objects[name] = Imported(manifest, tuple(sources))
        return build_file_reference(name, list(data))

    def _find(self, pattern: str, place: Place) -> list[Path]:
        """Returns the files of a pattern, in the order of their names: beside the workflow, else above it."""
        pure = PurePosixPath(pattern)
        if pure.is_absolute() or ".." in pure.parts:
            raise refuse(place, f"{pattern} leaves the folder; allowed are paths below it")
        for folder in self.source.list_folders():
            found = sorted(path for path in folder.glob(pattern) if self.source.is_inside(path))
            if found:
                return found
        return []
