"""Argo CD's side of its scripts: what it gives them, how it reads what they return, and what it writes then.

After argo-cd's util/lua/lua.go: gopher-lua (Lua 5.1) with the base functions, `table` and an `os` that tells the time.
"""

from pathlib import Path
from typing import Any

import yaml
from lupa import lua51

Json = dict[str, Any]
COMPONENT = Path(__file__).parents[3] / "kustomize" / "components" / "argocd"
HEALTH = {"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}
_SANDBOX = """
local kept = {"_G", "_VERSION", "assert", "collectgarbage", "error", "getfenv", "getmetatable", "ipairs", "module",
  "next", "package", "pairs", "pcall", "print", "rawequal", "rawget", "rawset", "require", "select", "setfenv",
  "setmetatable", "table", "tonumber", "tostring", "type", "unpack", "xpcall"}
local allowed = {os = true}
for _, name in ipairs(kept) do allowed[name] = true end
for name in pairs(_G) do
  if not allowed[name] then _G[name] = nil end
end
os = {time = os.time}
getmetatable("").__index = nil
"""


def load_customizations() -> dict[str, str]:
    """What the component puts into Argo CD's ConfigMap."""
    return dict(yaml.safe_load((COMPONENT / "argocd-cm.yaml").read_text())["data"])


def run(script: str, obj: Json) -> object:
    """Runs a script on an object, and returns its value as the JSON that Argo CD reads."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    lua.execute(_SANDBOX)
    lua.globals().obj = _to_lua(lua, obj)
    return _to_json(lua.execute(script))


def assess(obj: Json) -> Json:
    """The health of an object, as Argo CD shows it."""
    script = load_customizations()[f"resource.customizations.health.vapora.dev_{obj['kind']}"]
    health = run(script, obj)
    assert isinstance(health, dict)
    assert set(health) <= {"status", "message"}
    assert health["status"] in HEALTH
    return health


def discover(obj: Json) -> dict[str, bool]:
    """The actions that Argo CD offers on an object, and whether each can be taken."""
    actions = _load_actions(obj["kind"])
    if not actions:
        return {}
    found = run(actions["discovery.lua"], obj)
    if found == []:
        return {}
    assert isinstance(found, dict)
    assert set(found) == {row["name"] for row in actions["definitions"]}
    return {name: not row.get("disabled", False) for name, row in found.items()}


def name_action(obj: Json, action: str) -> str:
    """What Argo CD shows for an action."""
    found = run(_load_actions(obj["kind"])["discovery.lua"], obj)
    assert isinstance(found, dict)
    return str(found[action].get("displayName", action))


def act(obj: Json, action: str) -> Json:
    """The merge patch that Argo CD sends when somebody takes an action."""
    definitions = {row["name"]: row["action.lua"] for row in _load_actions(obj["kind"])["definitions"]}
    returned = run(definitions[action], obj)
    assert isinstance(returned, dict)
    return diff(obj, _restore_empty(returned, obj))


def diff(before: Json, after: Json) -> Json:
    """The merge patch (RFC 7386) from one object to another."""
    patch: Json = {name: None for name in before if name not in after}
    for name, value in after.items():
        former = before.get(name)
        if isinstance(former, dict) and isinstance(value, dict):
            if inner := diff(former, value):
                patch[name] = inner
        elif former != value or name not in before:
            patch[name] = value
    return patch


def _load_actions(kind: str) -> Json:
    return dict(yaml.safe_load(load_customizations().get(f"resource.customizations.actions.vapora.dev_{kind}", "{}")))


def _to_lua(lua: Any, value: object) -> object:
    """Makes tables of lists and maps; what is null is not there."""
    if isinstance(value, dict):
        return lua.table_from({name: _to_lua(lua, inner) for name, inner in value.items() if inner is not None})
    if isinstance(value, list):
        return lua.table_from([_to_lua(lua, inner) for inner in value if inner is not None])
    return value


def _to_json(value: object) -> object:
    """Reads tables as gopher-json does: an empty one is a list, one of numbers must not have holes or names."""
    if lua51.lua_type(value) != "table":
        assert value is None or isinstance(value, str | int | float | bool), f"not JSON: {value!r}"
        return int(value) if isinstance(value, float) and value.is_integer() else value
    keys = list(value)  # type: ignore[call-overload]  # a table iterates over its keys
    if all(isinstance(key, int) for key in keys):
        assert keys == list(range(1, len(keys) + 1)), f"a list with holes: {keys}"
        return [_to_json(value[key]) for key in keys]  # type: ignore[index]
    assert all(isinstance(key, str) for key in keys), f"keys of two kinds: {keys}"
    return {key: _to_json(value[key]) for key in keys}  # type: ignore[index]


def _restore_empty(new: Json, old: Json) -> Json:
    """Makes maps again of what was an empty map and has become an empty list."""
    restored = dict(new)
    for name, value in new.items():
        former = old.get(name)
        if isinstance(value, dict) and isinstance(former, dict):
            restored[name] = _restore_empty(value, former)
        elif value == [] and former == {}:
            restored[name] = former
        elif isinstance(value, list) and isinstance(former, list):
            pairs = zip(value, former, strict=False)
            restored[name] = [
                _restore_empty(v, f) if isinstance(v, dict) and isinstance(f, dict) else v for v, f in pairs
            ]
            restored[name] += value[len(former) :]
    return restored
