"""`POST /segment`: the classes of an image as polygons, areas and runs, or drawn over it."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from web.api.answers import BINARY, responses, time_header
from web.api.cutouts import files_of
from web.api.parameters import described, read
from web.api.uploads import SentFile, Uploads, unless_gone
from web.engine.engine import Engine
from web.engine.prediction import Prediction, Rendered
from web.faults import Refused

FILES = {"file": "The image; for radiographs PNG, JPEG, TIFF, BMP, WebP, or DICOM if pydicom is installed."}
POLYGON = {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}}
CLASS = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "area_px": {"type": "integer"},
        "polygons": {"type": "array", "items": POLYGON, "description": "Rings of [x, y]; filled together: the mask."},
        "rle": {"type": "string", "description": "`start length …`, from 1 along the rows."},
    },
    "required": ["name", "area_px", "polygons", "rle"],
}
FOUND = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "task": {"type": "string"},
        "height": {"type": "integer"},
        "width": {"type": "integer"},
        "description": {"type": "string", "description": "What the image shows, in a few words, if that can be told."},
        "oddity": {
            "type": "string",
            "description": "How the image differs from those trained on, as an inverted film does; else empty.",
        },
        "classes": {"type": "array", "items": CLASS},
    },
    "required": ["model", "task", "height", "width", "description", "oddity", "classes"],
}


class Segment(BaseModel):
    """The parameters of `/segment`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str | None = Field(None, max_length=200, description="Name of a model; without it the first with masks.")
    output: Literal["json", "overlay"] = Field("json", description="Polygons, areas and runs, or a PNG of the drawing.")
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="Probability above which a pixel belongs to a class; without it as the model has it."
    )
    opacity: Annotated[float, Field(ge=0, le=1)] = Field(0.35, description="Of the areas, for `output=overlay`.")


def router(engine: Engine, uploads: Uploads) -> APIRouter:
    """Return the endpoint."""
    api = APIRouter(tags=["segmentation"])

    @api.post(
        "/segment",
        responses=responses({"application/json": {"schema": FOUND}, "image/png": BINARY}),
        response_class=Response,
        openapi_extra=described(Segment, FILES),
    )
    async def segment(request: Request) -> Response:
        """Find the classes of an image, which may overlap."""
        async with uploads.form(request, 1) as form:
            wanted = read(Segment, form.values)
            if "opacity" in wanted.model_fields_set and wanted.output != "overlay":
                raise Refused(422, "opacity: is for output=overlay, and output is json. Leave it out.")
            (file,) = files_of(form, "file", 1)
            made = await unless_gone(request, _segmented(engine, file, wanted))
        return Response(made.content, media_type=made.media_type, headers=time_header(request))

    return api


async def _segmented(engine: Engine, file: SentFile, wanted: Segment) -> Rendered:
    model = engine.model_for(wanted.model, cuts_out=False)
    model.threshold_or(wanted.threshold)
    async with engine.turn(file.content, model.name) as image:
        prediction = await engine.predict(image)
        return await engine.run(_answer, prediction, wanted)


def _answer(prediction: Prediction, wanted: Segment) -> Rendered:
    packed = prediction.packed(wanted.threshold)
    if wanted.output == "overlay":
        return Rendered(prediction.overlay(packed, wanted.opacity), "image/png")
    return Rendered(json.dumps(prediction.segments(packed), ensure_ascii=False).encode(), "application/json")
