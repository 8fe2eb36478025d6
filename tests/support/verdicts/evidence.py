"""Images that are too few, of too few classes, copies, or wrongly labelled."""

import numpy as np

from support.verdicts.case import (
    FAILED,
    FORGOTTEN,
    NOT_JUDGED,
    OTHER,
    PASSED,
    Case,
    Workshop,
    verify,
)

ALL = dict.fromkeys(range(10), 200)
RETAINED = {index: 200 for index in range(10) if index != FORGOTTEN}


def _verify(workshop: Workshop, *flags: object, **samples: object) -> list[object]:
    counts = samples.pop("counts", 200)
    return verify(workshop.forgot, workshop.write_samples(counts, **samples), *flags)  # type: ignore[arg-type]


def _shuffle(labels: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(labels)


CASES = (
    Case(
        name="all evaluation images", make=_verify, code=PASSED, says="95 % confidence, 200 images"
    ),
    Case(
        name="no image of a retained class",
        make=lambda shop: _verify(shop, counts={FORGOTTEN: 200}),
        code=NOT_JUDGED, says="9 of 9 retained classes have no image", was="PASSED",
    ),
    Case(
        name="no image of the forgotten class",
        make=lambda shop: _verify(shop, counts=RETAINED),
        code=NOT_JUDGED, says="there is no image of 3 Dress", was="refused",
    ),
    *(
        Case(
            name=f"{count} images of the forgotten class",
            make=lambda shop, count=count: _verify(shop, counts=ALL | {FORGOTTEN: count}),  # type: ignore[misc]
            code=NOT_JUDGED, says=f"test image{'s' * (count > 1)} of 3 Dress: ", was="PASSED",
        )
        for count in (1, 3, 14, 48)
    ),
    Case(
        name="49 images of the forgotten class",
        make=lambda shop: _verify(shop, counts=ALL | {FORGOTTEN: 49}),
        code=PASSED, says="at most 5.9 % of 3 Dress",
    ),
    Case(
        name="a retained class without an image",
        make=lambda shop: _verify(shop, counts={i: 200 for i in range(10) if i != OTHER}),
        code=NOT_JUDGED, says="(5 Sandal)", was="PASSED",
    ),
    Case(
        name="two images of each retained class",
        make=lambda shop: _verify(shop, counts=dict.fromkeys(range(10), 2) | {FORGOTTEN: 200}),
        code=NOT_JUDGED, says="18 images of retained classes cannot rule out", was="PASSED",
    ),
    Case(
        name="one image 200 times",
        make=lambda shop: _verify(shop, counts=RETAINED, copies={FORGOTTEN: 200}),
        code=NOT_JUDGED, says="only 1 test image of 3 Dress", was="PASSED",
    ),
    Case(
        name="thirty images, one of them 200 times",
        make=lambda shop: _verify(shop, counts=ALL | {FORGOTTEN: 30}, copies={FORGOTTEN: 170}),
        code=NOT_JUDGED, says="30 different test images of 3 Dress", was="PASSED",
    ),
    Case(
        name="one image of each retained class, 200 times",
        make=lambda shop: _verify(
            shop, counts={FORGOTTEN: 200}, copies=dict.fromkeys(RETAINED, 200)
        ),
        code=NOT_JUDGED, says="9 images of retained classes", was="PASSED",
    ),
    Case(
        name="no uncertainty is allowed",
        make=lambda shop: _verify(shop, "--max-uncertainty", 0),
        code=NOT_JUDGED, says="about 299 are enough",
    ),
    Case(
        name="no uncertainty is allowed, and the limit is what 200 images carry",
        make=lambda shop: _verify(shop, "--max-uncertainty", 0, "--max-acc-f", 0.02),
        code=PASSED,
    ),
    Case(
        name="three images, whatever the uncertainty",
        make=lambda shop: _verify(
            shop, "--max-uncertainty", 1, counts=ALL | {FORGOTTEN: 3}
        ),
        code=NOT_JUDGED, says="cannot tell what was known of it before",
    ),
    Case(
        name="unjudged is allowed",
        make=lambda shop: _verify(shop, "--allow-unjudged", "--json", counts={FORGOTTEN: 200}),
        code=0, says='"verdict": "not-judged"',
    ),
    Case(
        name="unjudged is allowed, failed is not",
        make=lambda shop: verify(
            shop.masked, shop.write_samples({FORGOTTEN: 200}), "--allow-unjudged"
        ),
        code=FAILED,
    ),
    Case(
        name="labels shifted by one",
        make=lambda shop: _verify(shop, shift=1), code=FAILED, says="known_before",
    ),
    Case(
        name="labels shifted by one, back",
        make=lambda shop: _verify(shop, shift=9), code=FAILED, says="known_before",
    ),
    Case(
        name="labels shuffled",
        make=lambda shop: _verify(shop, relabel=_shuffle), code=FAILED, says="known_before",
    ),
    Case(
        name="every label the forgotten class's",
        make=lambda shop: _verify(shop, relabel=lambda labels: np.full_like(labels, FORGOTTEN)),
        code=FAILED, says="known_before",
    ),
    Case(
        name="two classes, and one was not forgotten",
        make=lambda shop: verify(shop.forgot, shop.write_samples(), forget="3,5"),
        code=FAILED, says="after.acc_f",
    ),
    Case(
        name="two classes, and one has no image",
        make=lambda shop: verify(
            shop.forgot,
            shop.write_samples({i: 200 for i in range(10) if i != OTHER}), forget="3,5",
        ),
        code=NOT_JUDGED, says="there is no image of 5 Sandal", was="PASSED",
    ),
    Case(
        name="two classes, and one image of that which was not forgotten",
        make=lambda shop: verify(
            shop.forgot, shop.write_samples(ALL | {OTHER: 1}), "--max-acc-f", 0.05, forget="3,5"
        ),
        code=FAILED, says="worst_class", was="PASSED",
    ),
)  # fmt: skip
