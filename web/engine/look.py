"""How a cut-out is to look, as a request says it: preset, each refinement's parameters, picture and file format.

The refinements' parameters are those of `data.refine`, as `NAME_PARAMETER`: `feather_radius_px=5`. One of them switches
its refinement on; `NAME=true` and `NAME=false` switch it too. What a request does not name is as the preset has it, or
as the model has it if no preset is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from data.cutout.pictures import FORMATS, PICTURES, Format, Picture
from data.cutout.pictures.kinds import before
from data.cutout.pictures.writer import Style
from data.refine import PRESETS, REFINEMENTS, Refine
from utils.arrays import Image
from utils.config.component import params_of
from utils.errors import UserError

Kind = Literal["rgba", "mask", "colour", "picture", "blur", "sheet"]
FormatName = Literal["png", "webp", "jpeg"]
ONLY_FOR = {"background": "colour", "blur_strength": "blur"}
"""The outputs that parameters belong to."""
MEDIA_TYPES: Mapping[str, str] = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}


class BaseLook(BaseModel):
    """The part of `Look` that is written out; the other fields are those of the refinements."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    preset: Literal["plain", "u2net", "nuggy", "soft", "people"] | None = Field(
        None, description="Refinements that belong together; without it those of the model."
    )
    output: Kind = Field(
        "rgba",
        description="The object alone (`rgba`), its `mask`, the object on a `colour`, on another `picture` or before "
        "its own ground that is blurred (`blur`); or all beside each other (`sheet`).",
    )
    format: FormatName = Field("png", description="Format of the file. `jpeg` holds no alpha, so not `rgba`.")
    quality: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="Of `webp` (without it: no loss) and `jpeg` (without it: 92)."
    )
    background: Annotated[str, Field(max_length=40)] = Field(
        "white", description="For `output=colour`: a name such as `white`, or `#ff8000`."
    )
    blur_strength: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.015, description="For `output=blur`: its standard deviation as a share of the longer side."
    )
    own_colours: bool | None = Field(
        None, description="Whether soft edges get the object's own colours; without it: if there are refinements."
    )

    def specs(self, of_model: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the refinements in their order, each `{name, …parameters}`, from those of the model."""
        base = of_model if self.preset is None else PRESETS[self.preset]
        chosen = {spec["name"]: {**spec} for spec in base}
        for name, builder in REFINEMENTS.items():
            given = {key: getattr(self, f"{name}_{key}") for key in params_of(builder).model_fields}
            given = {key: value for key, value in given.items() if value is not None}
            switch = getattr(self, name)
            if switch is False:
                if given:
                    raise UserError(f"{name}: is switched off, but {name}_{next(iter(given))} is given. Leave one out.")
                chosen.pop(name, None)
            elif switch or given:
                chosen[name] = {**chosen.get(name, {"name": name}), **given}
        order = [name for spec in base if (name := spec["name"]) in chosen]
        order += [name for name in REFINEMENTS if name in chosen and name not in order]
        return [chosen[name] for name in order]

    def refinements(self, of_model: Sequence[Mapping[str, Any]]) -> tuple[Refine, ...]:
        """Build the refinements; see `specs`."""
        built = []
        for spec in self.specs(of_model):
            params = {key: value for key, value in spec.items() if key != "name"}
            built.append(REFINEMENTS[spec["name"]](**params))
        return tuple(built)

    def check(self, ground: Image | None) -> None:
        """Raise `UserError` for choices that do not fit to each other, before an image is decoded."""
        for name, output in ONLY_FOR.items():
            if name in self.model_fields_set and self.output != output:
                raise UserError(f"{name}: is for output={output}, and output is {self.output}. Leave one out.")
        self.specs(())
        self.style(True, ground)

    def style(self, refined: bool, ground: Image | None = None) -> Style:
        """Return how the picture is drawn and stored. `ground`, RGB: for `output=picture`.

        Raises `UserError` if a choice does not fit to another.
        """
        style = Style(self._picture(ground), self._format(), refined if self.own_colours is None else self.own_colours)
        if not style.suffixes:
            raise UserError(f"format: a JPEG holds no alpha, as output={self.output} needs. Take png or webp.")
        return style

    def _picture(self, ground: Image | None) -> Picture:
        if (ground is not None) != (self.output == "picture"):
            raise UserError("output: 'picture' and a file in the field background_file need each other.")
        if ground is not None:
            return before(ground)
        params: dict[str, dict[str, Any]] = {
            "colour": {"colour": self.background},
            "blur": {"strength": self.blur_strength},
        }
        try:
            return PICTURES[self.output](**params.get(self.output, {}))
        except UserError as error:
            raise UserError(f"background: {error}") from error

    def _format(self) -> Format:
        if self.quality is None:
            return FORMATS[self.format]()
        if self.format == "png":
            raise UserError("quality: a PNG has none, for nothing is lost. Leave it out, or take webp or jpeg.")
        return FORMATS[self.format](quality=self.quality)


def _fields() -> dict[str, Any]:
    """Return the fields of all refinements, from the signatures of their builders."""
    fields: dict[str, Any] = {}
    for name, builder in REFINEMENTS.items():
        told = (builder.__doc__ or "").strip().splitlines()[0]
        fields[name] = (bool | None, Field(None, description=f"{told} `true` or `false` switches it."))
        for key, field in params_of(builder).model_fields.items():
            kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            about = f"`{key}` of `{name}`, {field.default} if it is not said otherwise."
            fields[f"{name}_{key}"] = (kind | None, Field(None, description=about))
    return fields


Look: Any = create_model("Look", __base__=BaseLook, **_fields())
"""How a cut-out is to look: `Look(preset="soft", cutoff_level=0.1, output="colour", background="#ff8000")`."""
