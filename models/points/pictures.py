"""Clouds as small images: seen from the side without perspective, coloured by their distance to the surface."""

import math

import torch
from torch import Tensor

SIDE = 112  # pixels
RADIUS = 1.05  # of what is seen
FARTHEST = 0.06  # distance to the surface from which on a point is red
COLOURS = torch.tensor([[0.1, 0.25, 0.7], [0.1, 0.7, 0.55], [0.95, 0.85, 0.2], [0.85, 0.1, 0.1]])  # near … far


def coloured(distances: Tensor) -> Tensor:
    """RGB in [0, 1] (n, 3): blue on the surface, green, yellow, and red from FARTHEST on."""
    place = (distances / FARTHEST).clamp(0, 1) * (len(COLOURS) - 1)
    lower = place.floor().long().clamp(max=len(COLOURS) - 2)
    share = (place - lower)[:, None]
    return COLOURS[lower] * (1 - share) + COLOURS[lower + 1] * share


def view() -> Tensor:
    """A rotation (3, 3) to the axes right, away from the eye and up: seen from 30° to the side and 20° above."""
    turn, tilt = math.radians(30), math.radians(20)
    around = torch.tensor([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1.0]])
    down = torch.tensor([[1.0, 0, 0], [0, math.cos(tilt), math.sin(tilt)], [0, -math.sin(tilt), math.cos(tilt)]])
    return down @ around


def splat(cloud: Tensor, distances: Tensor) -> Tensor:
    """An image (3, SIDE, SIDE) in [-1, 1] of points (n, 3), 3×3 pixels each, nearer ones before others; white behind."""
    right, away, up = (cloud @ view().T).unbind(1)
    order = away.argsort(descending=True)  # nearer ones are painted later
    image, colours = torch.ones(SIDE, SIDE, 3), coloured(distances)
    column = ((right / RADIUS + 1) / 2 * (SIDE - 1)).round().long()
    row = ((1 - up / RADIUS) / 2 * (SIDE - 1)).round().long()
    for index in order.tolist():
        y, x = int(row[index]), int(column[index])
        if 1 <= y < SIDE - 1 and 1 <= x < SIDE - 1:
            image[y - 1 : y + 2, x - 1 : x + 2] = colours[index]
    return image.permute(2, 0, 1) * 2 - 1
