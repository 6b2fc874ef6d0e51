"""How much of an image do a pixel's nearest neighbours explain, and what do position and a perceptron add?"""

from models.autoregressive.config import BayesNetConfig
from studies import ImageShape, Section, Suggest, _autoregressive


def base(shape: ImageShape) -> BayesNetConfig:
    """Persian digits are binary, scikit-learn's have 17 levels; 28×28 images are made binary."""
    size = {"levels": 17, "evaluation_samples": 300} if max(shape[1:]) <= 16 else {}
    return BayesNetConfig.model_validate({"learning_rate": 0.05, "weight_decay": 1e-5} | size)


def space(suggest: Suggest, base: BayesNetConfig) -> BayesNetConfig:
    """Which pixels are parents, what a place has of its own, and how a conditional distribution is computed."""
    chosen = {
        "neighbours": suggest.suggest_categorical("neighbours", [3, 8, 15, 24]),
        "cpd": suggest.suggest_categorical("cpd", ["linear", "mlp"]),
        "position": suggest.suggest_categorical("position", ["none", "bias", "own"]),
        "learning_rate": suggest.suggest_float("learning_rate", 2e-3, 1e-1, log=True),
        "weight_decay": suggest.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
    }
    if chosen["cpd"] == "mlp":
        chosen["width"] = suggest.suggest_int("width", 16, 128, log=True)
    return BayesNetConfig.model_validate(base.model_dump() | chosen)


STUDY = _autoregressive.study(
    __doc__,
    BayesNetConfig,
    base,
    space,
    smallest={"levels": 2, "position": "own"},
    first=(
        {},
        {"position": "own"},
        {"cpd": "mlp", "neighbours": 24, "position": "bias", "learning_rate": 0.01},
    ),
    label="{neighbours} neighbours, {cpd}, {position}",
    sections=(
        Section(
            "The network",
            "The parents of a pixel (grey), the pixel itself (white), and the weights of the linear conditional distribution, "
            "averaged over places: positive ones make the pixel white. What the parents leave: mutual information of the pixel "
            "and one more neighbour given the parents, in millibits; where it is large, that neighbour should be a parent.",
            pictures=("network/neighbourhood", "network/weights", "network/left_dependence"),
        ),
        Section(
            "Hidden pixels",
            "The lower half or a square is hidden. Rows: the image as it is seen, mean field, Gibbs sampling, ancestral "
            "sampling, the original. elbo is a lower bound on the log probability of the seen pixels, in nats; exact where the "
            "hidden pixels come last; importance is an estimate with the factorised posterior as the proposal.",
            pictures=("inference/lower_half", "inference/square"),
            numbers=("inference/",),
        ),
    ),
)
