"""The OpenAPI document, made from the same attributes that parse and authorize."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import vifguard
from vifguard.api.access.policy import action_policy
from vifguard.api.http.routes import Route
from vifguard.attributes.schema import REQUIRED, Attribute, ResourceSchema
from vifguard.attributes.values.converters import Schema

Document = dict[str, Any]

_NO_CONTENT = 204

_ERROR = {
    "type": "object",
    "properties": {
        "NeutronError": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("type", "message", "detail")},
            "required": ["type", "message", "detail"],
        }
    },
    "required": ["NeutronError"],
}


def document(routes: Iterable[Route], resources: Mapping[str, ResourceSchema]) -> Document:
    """The document of the routes; actions are named after the resources."""
    paths: dict[str, dict[str, Document]] = {}
    for route in routes:
        operation = _operation(route)
        _complete(operation, resources)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    schemas = {resource.one: _shown(resource) for resource in resources.values()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "vifguard", "version": vifguard.__version__},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR} | schemas,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
            },
        },
    }


def _operation(route: Route) -> Document:
    """The operation of a route, from its name, path and description."""
    done = _json("Done.", {}) if route.status_code != _NO_CONTENT else {"description": "Done."}
    operation: Document = {
        "tags": [route.tag],
        "summary": route.name.replace("_", " ").capitalize(),
        "description": route.description,
        "operationId": route.name,
        "responses": {str(route.status_code): done},
    }
    if route.variables:
        operation["parameters"] = [_parameter(name) for name in route.variables]
    return operation


def _parameter(name: str) -> Document:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def action_of(operation: Document) -> str:
    """The action of an operation: the name of its route."""
    return str(operation["operationId"])


def _complete(operation: Document, resources: Mapping[str, ResourceSchema]) -> None:
    action = action_of(operation)
    allowed = action_policy(action)
    if not allowed.is_open:
        operation["security"] = [{"basic": []}, {"token": []}]
        operation["description"] += f"\n\nFor: {', '.join(allowed.roles)}."
        operation["responses"]["4XX"] = _json("The request is refused.", _ref("Error"))
    verb, _, noun = action.partition("_")
    if noun in resources:
        _of_resource(operation, verb, resources[noun], is_list=noun == resources[noun].many)


def _of_resource(
    operation: Document, verb: str, resource: ResourceSchema, *, is_list: bool
) -> None:
    one = {resource.one: _ref(resource.one)}
    many = {resource.many: {"type": "array", "items": _ref(resource.one)}}
    match verb:
        case "list" if is_list:
            many[f"{resource.many}_links"] = {"type": "array", "items": {"type": "object"}}
            operation["responses"]["200"] = _json("The list.", _object(many, resource.many))
        case "show" | "update" | "wait":
            operation["responses"]["200"] = _json("The object.", _object(one, resource.one))
        case "create":
            schema = {"oneOf": [_object(one, resource.one), _object(many, resource.many)]}
            operation["responses"]["201"] = _json("The created object.", schema)
    if verb in {"create", "update"}:
        operation["requestBody"] = {"required": True, **_content(_asked(resource, verb))}


def _asked(resource: ResourceSchema, verb: str) -> Schema:
    """The schema of the body of a POST or PUT."""
    rules = {each.name: each.post if verb == "create" else each.put for each in resource.attributes}
    properties = {
        each.name: _described(each, rules[each.name].requirement)  # type: ignore[union-attr]
        for each in resource.attributes
        if rules[each.name] is not None
    }
    asked: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if verb == "create":
        asked["required"] = [each.name for each in resource.attributes if each.default is REQUIRED]
    one = _object({resource.one: asked}, resource.one)
    if verb == "update":
        return one
    many = {resource.many: {"type": "array", "items": asked, "minItems": 1}}
    return {"oneOf": [one, _object(many, resource.many)]}


def _described(attribute: Attribute, words: str) -> Schema:
    return {
        **attribute.converter.schema,
        "description": f"{attribute.help} May be set only by {words}.",
    }


def _shown(resource: ResourceSchema) -> Schema:
    shown = resource.schema["properties"]
    always = [
        each.name for each in resource.attributes if each.name in shown and not each.visible_to
    ]
    return {**resource.schema, "required": always, "additionalProperties": False}


def _object(properties: Mapping[str, Any], *required: str) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Schema) -> Document:
    return {"content": {"application/json": {"schema": schema}}}


def _json(description: str, schema: Schema) -> Document:
    return {"description": description, **_content(schema)}
