"""docs/asyncapi.yaml as validators: one for each schema, and one for each channel's messages."""

import json
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator

DOCUMENT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")
)
BLOCK = "application/vnd.dcu.block"


def schema(name: str) -> Draft7Validator:
    """Return the validator of `components.schemas.NAME`; references are within the document."""
    return Draft7Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


def followed(reference: str) -> Any:
    """Return what a reference within the document names. Raises KeyError."""
    found = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def messages(channel: str) -> list[str]:
    """Return the names of the schemas of a channel's JSON messages."""
    listed = [followed(each["$ref"]) for each in DOCUMENT["channels"][channel]["messages"].values()]
    return [each["payload"]["$ref"].rpartition("/")[2] for each in listed if each.get("contentType") != BLOCK]


def faults(channel: str, payload: bytes) -> list[str]:
    """Return what is wrong with a JSON message of `channel`: nothing when it is one of its messages."""
    message = json.loads(payload)
    found = {name: [error.message for error in schema(name).iter_errors(message)] for name in messages(channel)}
    sound = [name for name, errors in found.items() if not errors]
    return [] if len(sound) == 1 else [f"{message}: sound as {sound}; {found}"]


def result(name: str) -> dict[str, Any]:
    """Return the schema of the result of the command `name`, or of each meter's part of it."""
    listed = DOCUMENT["components"]["schemas"]["command"]["oneOf"]
    (told,) = (each for each in listed if each["properties"]["name"]["const"] == name)
    found: dict[str, Any] = followed((told.get("x-result") or told["x-result-of-meter"])["$ref"])
    return found


def faults_of_result(name: str, answer: Any) -> list[str]:
    """Return what is wrong with an answer to the command `name`, as JSON: nothing when it is what is said of it."""
    of_result = {**result(name), "components": DOCUMENT["components"]}
    errors = Draft7Validator(of_result).iter_errors(json.loads(json.dumps(answer)))
    return [f"{error.json_path}: {error.message}" for error in errors]
