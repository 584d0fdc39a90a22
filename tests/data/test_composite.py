import numpy as np
from drawn_pictures import disc_rgba, textured
from hypothesis import given, settings
from hypothesis import strategies as st

from igf_mobile.data.colour import camera, extend_colours, jitter
from igf_mobile.data.composite import Layer, blend, composite, develop, edge_contrast, over, place

seeds = st.integers(0, 2**32 - 1)


def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return disc_rgba(rng), textured(rng, 400, 500)


def test_image_is_exactly_alpha_f_plus_one_minus_alpha_b() -> None:
    rng = np.random.default_rng(0)
    front, back = (rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(2))
    alpha = rng.integers(0, 256, (64, 64), dtype=np.uint8)
    share = alpha[..., None] / 255.0
    exact = share * front + (1 - share) * back
    # half a level of rounding and nothing else: a second rounding or an alpha off by one grid step is more
    assert np.max(np.abs(blend(front, alpha, back) - exact)) <= 0.5 + 1e-4
    assert np.array_equal(blend(front, np.full_like(alpha, 255), back), front)
    assert np.array_equal(blend(front, np.zeros_like(alpha), back), back)


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_composite_is_pure_in_the_generator(seed: int) -> None:
    front, back = pictures()
    first, second = (composite(front, back, np.random.default_rng(seed), size=128) for _ in range(2))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert first[0].shape == (128, 128, 3) and first[1].shape == (128, 128)
    assert first[0].dtype == first[1].dtype == np.uint8


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_colour_jitter_leaves_the_alpha_alone(seed: int) -> None:
    front, _ = pictures()
    layer = place(front, np.random.default_rng(seed), 128)
    _, alpha = develop(layer, np.random.default_rng(seed + 1))
    _, other = develop(layer, np.random.default_rng(seed + 2))
    assert np.array_equal(alpha, other)
    assert np.array_equal(alpha, np.rint(layer.alpha * 255).astype(np.uint8))


def test_where_the_alpha_is_zero_the_hidden_colour_never_shows() -> None:
    front, back = pictures()
    garbage = front.copy()
    garbage[front[..., 3] == 0, :3] = (255, 0, 255)
    clean = front.copy()
    clean[front[..., 3] == 0, :3] = 0
    for seed in range(5):
        one = composite(garbage, back, np.random.default_rng(seed), size=128)
        two = composite(clean, back, np.random.default_rng(seed), size=128)
        assert np.array_equal(one[0], two[0])


def test_second_object_adds_to_the_alpha() -> None:
    front, back = pictures()
    alone = composite(front, back, np.random.default_rng(3), size=128)[1]
    both = composite(front, back, np.random.default_rng(3), size=128, second_rgba=front)[1]
    assert np.all(both.astype(int) >= alone.astype(int) - 1) and both.sum() > alone.sum()


def test_over_is_porter_and_duffs() -> None:
    def flat(value: float, alpha: float) -> Layer:
        return Layer(np.full((1, 1, 3), value, np.float32), np.full((1, 1), alpha, np.float32))

    both = over(flat(200, 0.5), flat(100, 0.5))
    assert np.allclose(both.alpha, 0.75)
    assert np.allclose(both.colour, (200 * 0.5 + 100 * 0.25) / 0.75)


def test_extended_colours_lose_the_fringe_and_keep_the_inside() -> None:
    alpha = np.zeros((64, 64), np.float32)
    alpha[:, :30] = 1
    alpha[:, 30:34] = 0.3
    rgb = np.zeros((64, 64, 3), np.float32)
    rgb[:, :30] = (10, 200, 30)
    rgb[:, 30:] = 255  # what was behind the object when it was cut out
    result = extend_colours(rgb, alpha)
    assert np.allclose(result[:, :28], (10, 200, 30), atol=1)
    wrong = np.abs(result[:, 30:34] - (10, 200, 30)).max() / 245
    assert wrong < 0.5  # measured 0.46; 1 without


def test_jitter_and_camera_change_colours_mildly() -> None:
    _, back = pictures()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        changed = camera(jitter(back, rng), rng)
        assert changed.shape == back.shape and changed.dtype == np.uint8
        assert 0 < np.mean(np.abs(changed.astype(int) - back)) < 60


def test_edge_contrast_is_nought_where_nothing_can_be_seen() -> None:
    front, back = pictures()
    colour, alpha = develop(place(front, np.random.default_rng(0), 128), np.random.default_rng(0))
    assert edge_contrast(colour, alpha, colour) == 0
    assert edge_contrast(colour, alpha, 255 - colour) > 14
    assert edge_contrast(colour, np.zeros_like(alpha), back[:128, :128]) == 0
