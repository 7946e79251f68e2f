"""Chooses the recipe that a payload asks for."""

from __future__ import annotations

from mandel.driver.files.strip_files import StripFiles
from mandel.driver.recipes.exact import ExactRecipe
from mandel.driver.recipes.path import PathRecipe
from mandel.driver.recipes.recipe import Recipe
from mandel.driver.recipes.shared import SharedRecipe
from mandel.payload.payload import SHARED, Payload
from mandel.plan.camera_path import CameraPath


def recipe_of(payload: Payload, files: StripFiles | None = None, source: Payload | None = None) -> Recipe:
    """The recipe that a payload asks for.

    Args:
        files: strips that are there already.
        source: whose strips these are, if they are another payload's.
    """
    if payload.sampling != SHARED:
        return ExactRecipe(payload)
    return (PathRecipe if isinstance(payload.camera, CameraPath) else SharedRecipe)(payload, files, source)
