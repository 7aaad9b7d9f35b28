"""Pictures that are no frontal chest radiograph, for the gate `chest_radiograph` to learn from.

limbs        forearms, legs and hands, drawn
regions      skulls, chests from the side, bellies and slices, drawn
documents    pages of text and plots, drawn
patterns     bars, boards, noise, gradients and blank films, drawn
photographs  scikit-image's and scikit-learn's sample pictures
chests       chests as they should not be: turned, inverted, a detail, two on one film
film         how the first five come to look like films
"""

from collections.abc import Callable, Sequence

import numpy as np

from models.radiograph import Radiograph
from pipelines.decoys import chests as altered
from pipelines.decoys.documents import page, plot
from pipelines.decoys.film import Grey, finished
from pipelines.decoys.limbs import hand, limb
from pipelines.decoys.patterns import blank, board, gradient, noise
from pipelines.decoys.photographs import photograph
from pipelines.decoys.regions import belly, lateral_chest, skull, slice_of_body

# Some more often: films of limbs are what a service is most likely to be sent, chests turned or inverted what is
# hardest to tell from a chest.
_DRAWN: tuple[Callable[[np.random.Generator], Grey], ...] = (
    *(limb, limb, hand, skull, lateral_chest, belly, slice_of_body),
    *(page, plot, board, noise, gradient, blank),
    *(photograph, photograph),
)
_ALTERED: tuple[Callable[[Sequence[Radiograph], np.random.Generator], Radiograph], ...] = (
    *(altered.turned, altered.turned, altered.turned),
    *(altered.inverted, altered.inverted, altered.inverted),
    *(altered.two_up, altered.two_up, altered.detail),
)


def decoys(chests: Sequence[Radiograph], count: int, rng: np.random.Generator) -> list[Radiograph]:
    """So many pictures that are no frontal chest radiograph, a mixture of all kinds.

    Args:
        chests: frontal chest radiographs, from which some are made; none is needed for the others.
        count: of the pictures.
        rng: everything follows from it.
    """
    kinds = len(_DRAWN) + (len(_ALTERED) if len(chests) else 0)
    rounds = [rng.permutation(kinds) for _ in range(0, count, kinds)]
    return [_of_kind(kind, chests, rng) for kind in np.concatenate([*rounds, []]).astype(int)[:count]]


def _of_kind(kind: int, chests: Sequence[Radiograph], rng: np.random.Generator) -> Radiograph:
    if kind < len(_DRAWN):
        return finished(_DRAWN[kind](rng), rng)
    return _ALTERED[kind - len(_DRAWN)](chests, rng)
