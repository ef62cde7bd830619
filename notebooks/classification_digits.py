# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Classification: digits from 2 to 20 labels a class
#
# The 1,797 handwritten digits of scikit-learn, 8 × 8 pixels. A network learns a source from many
# images and is moved to a target of which few images have labels. There are two targets:
#
# - **same classes, other images**: the source knows upright digits 0–9, the target's are rotated;
# - **other classes**: the source knows the digits 0–4, the target's are 5–9.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from pacpde import fit_classes, measure_classes, transfer_classes

# %matplotlib inline
SHORT = os.environ.get("PACPDE_SHORT") == "1"  # tiny, for the tests; its numbers mean nothing
SEEDS = range(1) if SHORT else range(5)
PER_CLASS = (2, 5) if SHORT else (2, 5, 20)
STEPS = 2 if SHORT else 15
COLUMNS = 16
SOURCE_ROWS = 100 if SHORT else 450
ANGLE = 10  # degrees

pixels, digits = load_digits(return_X_y=True)
images = pixels.reshape(-1, 8, 8)
rotated = rotate(images, ANGLE, axes=(2, 1), reshape=False, order=1).reshape(-1, 64)

figure, axes = plt.subplots(2, 10, figsize=(10, 2.3), layout="constrained")
for digit, (above, below) in enumerate(axes.T):
    first = int(np.argmax(digits == digit))
    above.imshow(images[first], cmap="gray_r")
    below.imshow(rotated[first].reshape(8, 8), cmap="gray_r")
    for axis in (above, below):
        axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("upright")
axes[1, 0].set_ylabel("rotated")
figure.suptitle("The first image of each digit")
plt.show()

# %% [markdown]
# ## The study
#
# A seed draws the rows: 450 for the source, so many a class for the target, and 300 others to test.
# The columns are the first 16 principal components of the source's images. All ways get the same
# rows and columns. PAC, warm start and last layer have the penalty that the labels choose, and PAC
# its sparsity, up to 100 labels (1,000 labels times classes); nothing else is tuned. Beside the
# networks stands logistic regression, which knows no source.

# %%
WAYS = {"PAC": "pac", "warm start": "warm_start", "last layer": "last_layer", "scratch": "scratch"}


def draw(task: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the source, rows of the target, and the pixels of all rows as the target has them."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits))
    if task == "rotated":
        return order[:SOURCE_ROWS], order[SOURCE_ROWS:], rotated
    old = digits[order] < 5
    return order[old][:SOURCE_ROWS], order[~old], pixels


def per_class(rows: np.ndarray, count: int) -> np.ndarray:
    """The first so many rows of each class."""
    return np.concatenate([rows[digits[rows] == c][:count] for c in np.unique(digits[rows])])


accuracy: dict[tuple[str, str, int], list[float]] = {}
source_accuracy: dict[tuple[str, str], list[float]] = {}
recalled = 0
for task in ("rotated", "other classes"):
    for seed in SEEDS:
        before, after, shown = draw(task, seed)
        components = PCA(COLUMNS, random_state=0).fit(pixels[before])
        upright, inputs = components.transform(pixels), components.transform(shown)
        table = (upright[before], digits[before])
        source = fit_classes(*table, seed=seed, width=24, depth=2, steps=STEPS)
        test = after[-300:]
        if task == "rotated":
            right = measure_classes(source, inputs[test], digits[test]).accuracy
            accuracy.setdefault((task, "source untouched", 0), []).append(right)
        for count in PER_CLASS:
            rows = per_class(after[:-300], count)
            few = (inputs[rows], digits[rows])
            for name, method in WAYS.items():
                moved = transfer_classes(
                    source, *few, source_table=table, method=method, seed=seed,
                    settings={"steps": STEPS},
                )  # fmt: skip
                right = measure_classes(moved.surrogate, inputs[test], digits[test]).accuracy
                accuracy.setdefault((task, name, count), []).append(right)
                if name == "PAC":
                    solver, kept = moved.recall(), moved.snapshots.get("allocated", source)
                    assert np.array_equal(solver(*upright.T), kept(*upright.T))
                    recalled += 1
            regression = LogisticRegression(max_iter=2000).fit(few[0] / 16, few[1])
            right = float(regression.score(inputs[test] / 16, digits[test]))
            accuracy.setdefault((task, "logistic regression", count), []).append(right)
        held = np.setdiff1d(np.arange(len(digits)), before)
        held = held[np.isin(digits[held], source.class_labels)]
        for name, own in {"source, trained": source, "source, recalled": solver}.items():
            right = measure_classes(own, upright[held], digits[held]).accuracy
            source_accuracy.setdefault((task, name), []).append(right)
print(f"{recalled} times the recalled source gave the allocated logits, bit for bit")

# %%
names = [*WAYS, "logistic regression"]
figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained", sharey=True)
for axis, task in zip(axes, ("rotated", "other classes"), strict=True):
    for position, name in enumerate(names):
        values = np.array([accuracy[task, name, count] for count in PER_CLASS])
        half = 1.96 * values.std(1, ddof=min(1, len(SEEDS) - 1)) / np.sqrt(len(SEEDS))
        at = np.array(PER_CLASS) * 1.02 ** (position - 2)
        style = "--" if name == "logistic regression" else "-"
        axis.errorbar(at, values.mean(1), half, marker="o", ms=4, ls=style, capsize=3, label=name)
    untouched = accuracy.get((task, "source untouched", 0))
    if untouched is not None:
        axis.axhline(np.mean(untouched), color="gray", ls=":", label="source untouched")
    axis.set(xscale="log", xlabel="labels of each class")
    axis.set_xticks(PER_CLASS, [str(count) for count in PER_CLASS])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
axes[0].set(ylabel="accuracy on 300 other images", title=f"Same classes, rotated by {ANGLE}°")
axes[1].set_title("Digits 0–4 to digits 5–9")
axes[0].legend(loc="lower right", fontsize=9)
plt.show()

# %% [markdown]
# Differences of accuracy, seed by seed: mean and 95 % interval over the seeds.

# %%
for task in ("rotated", "other classes"):
    for other in ("warm start", "scratch", "logistic regression"):
        print(f"{task}: PAC minus {other}")
        for count in PER_CLASS:
            one, two = (np.array(accuracy[task, name, count]) for name in ("PAC", other))
            gap = one - two
            half = 1.96 * gap.std(ddof=min(1, len(gap) - 1)) / np.sqrt(len(gap))
            verdict = "PAC" if gap.mean() > half else other if gap.mean() < -half else "neither"
            print(f"  {count:3d} a class: {gap.mean():+.3f} ± {half:.3f}, better: {verdict}")
for (task, name), values in source_accuracy.items():
    print(f"{task}: accuracy of the {name}, on images that no fit has seen: {np.mean(values):.3f}")

# %% [markdown]
# ## What this does not show
#
# - A transfer helps where the source's features are those of the target. A source of five digits
#   has not learnt to tell the other five apart, and a classifier without a source is the better
#   choice there.
# - Eight by eight pixels and a dense network of 24 neurons a layer: nothing is said of large images
#   and convolutions.
# - Nothing else is tuned, and the rows of all seeds come from the same 1,797 images, so that
#   intervals over seeds are somewhat too narrow.
