"""Components: a name from a table and the parameters of its builder. The builder's signature is the schema.

A registry is a plain dict from name to builder. A configuration may set the builder's keyword-only arguments, with
their types and defaults; the program supplies the arguments before the `*`:

    def cosine(optimizer: Optimizer, *, min_lr: float = 1e-6) -> Schedule: ...
    SCHEDULERS = {"cosine": cosine}
    SchedulerSpec = Annotated[Component, component("scheduler", lambda: SCHEDULERS)]
    spec.build(optimizer)  # = cosine(optimizer, min_lr=…)

In YAML a component is `cosine` or `{name: cosine, min_lr: 1e-5}`. Specs nest: a builder may take another `Component`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from utils.config.messages import shown
from utils.config.section import UNKNOWN_NAME, Section, fault
from utils.config.suggestions import did_you_mean_of_all
from utils.errors import UserError

Builder = Callable[..., Any]
Table = Mapping[str, Builder]
COMPONENT_IN_JSON_SCHEMA = "x-component"
"""In a JSON Schema stands `{x-component: loss}` for a choice of this kind; who writes the schema knows the table."""


_CHOSEN_FROM: ContextVar[Table] = ContextVar("the table of the component that is being read")


_UNREAD: ContextVar[frozenset[str]] = ContextVar("the kinds of components that are not read", default=frozenset())


@contextmanager
def unread(kinds: Iterable[str]) -> Iterator[None]:
    """Accept any component of these kinds: its table is not imported, and its name and parameters are not checked."""
    before = _UNREAD.set(frozenset(kinds))
    try:
        yield
    finally:
        _UNREAD.reset(before)


def unread_kinds() -> frozenset[str]:
    """Return the kinds of components that are not read now."""
    return _UNREAD.get()


def enclosing_table() -> Table:
    """Return the table of the component whose parameters are being read.

    For a builder whose parameters are components of its own table, such as the losses of a mix: it need not import
    the table that it stands in.
    """
    return _CHOSEN_FROM.get()


@dataclass(frozen=True)
class Component:
    """A checked choice from a table: the kind "loss", the name "dice", and the parameters of `dice` as attributes."""

    kind: str
    name: str
    params: Section
    builder: Builder = field(repr=False, compare=False)

    def build(self, *program_args: Any) -> Any:
        """Call the builder with the program's arguments and the configured parameters.

        Raises the builder's `UserError` with the component's kind and name before it.
        """
        try:
            return self.builder(*program_args, **dict(self.params))
        except UserError as error:
            raise UserError(f"{self.kind} '{self.name}': {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """Return plain values as in YAML, with every parameter: `{name: dice, smooth: 1.0}`."""
        return {"name": self.name, **self.params.model_dump(mode="json")}


@cache
def params_of(builder: Builder) -> type[Section]:
    """Return a `Section` whose fields are the builder's keyword-only arguments, with their types and defaults.

    Raises `TypeError` for an argument without a type, or one called `name`.
    """
    bound = builder.keywords if isinstance(builder, partial) else {}
    fields: dict[str, Any] = {
        parameter.name: (_resolved(builder, parameter), _default(parameter))
        for parameter in inspect.signature(builder).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in bound
    }
    if "name" in fields:
        raise TypeError(f"{builder} has a parameter 'name'; that key chooses the component")
    section: type[Section] = create_model(getattr(_function(builder), "__name__", "params"), __base__=Section, **fields)
    return section


@dataclass(frozen=True)
class component:
    """A marker: `Annotated[Component, component("loss", lambda: LOSSES)]` reads a name, or a name and parameters.

    `table` is a function, called when a value is read. For parameters that are components of the builder's own table
    (as in `mix`) it is `enclosing_table`.
    """

    kind: str
    table: Callable[[], Table]

    @property
    def words(self) -> str:
        """What is expected of a value, for messages and the reference page."""
        return f"{_article(self.kind)}, as a name or {{name: …, …}}"

    @property
    def plural(self) -> str:
        """The plural, for messages about lists: "transforms"."""
        return f"{self.kind}s"

    def read(self, value: Any) -> Component:
        """Check a name or `{name: …, …}`. Raises one `ValidationError` with every problem."""
        if isinstance(value, Component):
            return value
        if self.kind in _UNREAD.get():
            return Component(self.kind, "", Section(), dict)
        name, params = self._split(value)
        builder = self.table()[name]
        before = _CHOSEN_FROM.set(self.table())
        try:
            return Component(self.kind, name, params_of(builder).model_validate(params), builder)
        finally:
            _CHOSEN_FROM.reset(before)

    def _split(self, value: Any) -> tuple[str, dict[str, Any]]:
        """Return the component's name, checked, and its parameters, not yet checked."""
        if isinstance(value, str):
            return self._checked_name(value), {}
        if not isinstance(value, Mapping):
            raise fault(f"expected {self.words}, got {shown(value)}")
        if not isinstance(value.get("name"), str):
            raise fault(
                f"expected the name of {_article(self.kind)}, got {shown(value.get('name'))}. {self._hint('')}", "name"
            )
        return self._checked_name(value["name"], "name"), {key: item for key, item in value.items() if key != "name"}

    def _checked_name(self, name: str, *loc: str) -> str:
        if name not in self.table():
            raise fault(f"'{name}' is not {_article(self.kind)}. {self._hint(name)}", *loc, kind=UNKNOWN_NAME)
        return name

    def _hint(self, name: str) -> str:
        return did_you_mean_of_all(name, self.table())

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        plain = core_schema.plain_serializer_function_ser_schema(Component.as_dict)
        return core_schema.no_info_plain_validator_function(self.read, serialization=plain)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {COMPONENT_IN_JSON_SCHEMA: self.kind}


@dataclass(frozen=True)
class choice:
    """A marker: `Annotated[str, choice("task", lambda: TASKS)]` accepts only the names of a table."""

    kind: str
    table: Callable[[], Mapping[str, Any]]

    @property
    def words(self) -> str:
        """What is expected of a value, for messages and the reference page."""
        return f"the name of {_article(self.kind)}"

    def read(self, value: Any) -> str:
        """Return the name if the table has it. Raises a `ValidationError` otherwise."""
        if not isinstance(value, str):
            raise fault(f"expected {self.words}, got {shown(value)}. {did_you_mean_of_all('', self.table())}")
        if value not in self.table():
            hint = did_you_mean_of_all(value, self.table())
            raise fault(f"'{value}' is not {_article(self.kind)}. {hint}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"enum": list(self.table())}


@dataclass(frozen=True)
class preset_of:
    """A marker: `Annotated[tuple[Spec, ...], preset_of("refinements", lambda: PRESETS)]` takes the name of a list, too.

    The name is replaced by the list at once, so a saved config says what was meant, whatever the preset becomes later.
    """

    plural: str
    table: Callable[[], Mapping[str, Any]]

    @property
    def words(self) -> str:
        """What is expected of a value, for messages and the reference page."""
        return f"the name of a preset, or a list of {self.plural}"

    def read(self, value: Any) -> Any:
        """Return the list that a name stands for, other values as they are. Raises a `ValidationError`."""
        if not isinstance(value, str):
            return value
        if value not in self.table():
            hint = did_you_mean_of_all(value, self.table())
            raise fault(f"'{value}' is not a preset of {self.plural}. {hint}", kind=UNKNOWN_NAME)
        return self.table()[value]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"enum": list(self.table())}, handler(schema)]}


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _resolved(builder: Builder, parameter: inspect.Parameter) -> Any:
    """Return a parameter's type. Called for configured parameters only: other types need not exist at run time."""
    if parameter.annotation is parameter.empty:
        raise TypeError(f"{builder}: parameter '{parameter.name}' has no type; configurations are checked against it")
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    return eval(parameter.annotation, vars(sys.modules[_function(builder).__module__]))


def _default(parameter: inspect.Parameter) -> Any:
    """Return the default, or `...`, pydantic's sign for a required value."""
    return ... if parameter.default is parameter.empty else parameter.default


def _function(builder: Builder) -> Builder:
    function: Builder = inspect.unwrap(builder.func if isinstance(builder, partial) else builder)
    return function
