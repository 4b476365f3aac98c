"""What a service is that a Provider's task is about: an object of that name, or its definition in the catalogue."""

from __future__ import annotations

from vapora.core.tasks.provisioning.deploying.definitions import Wanted, resolve
from vapora.core.views import child
from vapora.core.workflow.procedure import Finished, Next, Procedure, Situation


def find_definition(kind: str, name: str) -> Procedure:
    """Returns a procedure that finds an object of our kinds or its definition.

    The memory is {manifest} where there is a definition, and {exists} where there is the object; where there is neither
    it fails with `Unknown<kind>` and the nearest names.
    """

    def find(situation: Situation) -> Next:
        found = resolve(situation, [Wanted(kind, (name,))], {})
        if not isinstance(found, tuple):
            return found
        [target] = found
        memory: dict[str, object] = {"exists": True} if target.live is not None else {}
        if target.definition is not None:
            metadata = {**child(target.definition, "metadata"), "namespace": target.ref.namespace}
            memory["manifest"] = {**target.definition, "metadata": metadata}
        return Finished(None, memory)

    return find
