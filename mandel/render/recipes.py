"""Which recipe a payload asks for."""

from __future__ import annotations

from mandel.payload import SHARED, Payload
from mandel.render.exact_recipe import ExactRecipe
from mandel.render.recipe import Recipe
from mandel.render.shared_recipe import SharedRecipe


def recipe_of(payload: Payload) -> Recipe:
    """The recipe that a payload asks for."""
    return SharedRecipe(payload) if payload.sampling == SHARED else ExactRecipe(payload)
