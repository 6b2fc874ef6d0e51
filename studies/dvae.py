"""Which codebook reconstructs best, and which gives codes that cluster well?"""

from models.dvae.config import Config
from studies import ImageShape, Objective, Section, Study, Suggest, later


def base(shape: ImageShape) -> Config:
    """A recipe that works, by the size of the images: measured at 8×8."""
    side = max(shape[1:])
    if side <= 16:
        return Config()
    if side <= 28:
        return Config(width=64, halvings=2, blocks=2, codebook_size=128, updates=10_000)
    large = Config(width=128, halvings=2, blocks=4, codebook_size=512, code_dimension=32, batch_size=128)
    return large.model_copy(update={"updates": 50_000})


def space(suggest: Suggest, base: Config) -> Config:
    """The codebook, how it follows the encodings, the learning rate, and how the codes are clustered."""
    most = max(256, base.codebook_size * 2)
    chosen: dict[str, float | int | str] = {
        "codebook_size": suggest.suggest_int("codebook_size", 8, most, log=True),
        "code_dimension": suggest.suggest_int("code_dimension", 2, max(32, base.code_dimension * 2), log=True),
        "learning_rate": suggest.suggest_float("learning_rate", 5e-4, 5e-3, log=True),
    }
    if base.quantiser == "ema":
        chosen["commitment"] = suggest.suggest_float("commitment", 0.05, 2.0, log=True)
        chosen["decay"] = suggest.suggest_float("decay", 0.8, 0.99)
    chosen["embedding"] = suggest.suggest_categorical("embedding", ["none", "spectral"])
    if base.k_rule != "given":
        chosen["k_least"] = suggest.suggest_int("k_least", 2, 8)
        chosen["k_most"] = suggest.suggest_int("k_most", 12, max(20, base.k_most))
    return Config.model_validate(base.model_dump() | chosen)


STUDY = Study(
    question=__doc__,
    config=Config,
    base=base,
    space=space,
    train=later("models.dvae.training:train"),
    report=later("models.dvae.evaluation:report"),
    check=later("models.dvae.training:check"),
    reports=lambda config: config.evaluations,
    objectives=(Objective("reconstruction/validation"), Objective("silhouette", "maximize")),
    trials=8,
    pictures="reconstructions",
    label="{codebook_size} codes",
    charts=("loss/reconstruction", "codes/perplexity"),
    restore=later("models.dvae.networks:network"),
    workload=later("models.dvae.networks:workload"),
    sections=(
        Section(
            "Reconstruction",
            "Squared error on validation images. Reference values: the same network without codes (plain), as many "
            "principal components as an image has tokens (pca), and the mean image (mean). Perplexity is the effective "
            "number of codes in use.",
            numbers=("reconstruction/", "codes/"),
        ),
        Section(
            "Clusters of the codes",
            "Scores that see no label choose the number of clusters K. The silhouette is near 1 if images are much nearer "
            "to their own cluster than to the next, and near 0 if clusters touch. Compare it with the silhouette of "
            "tokens that are drawn independently at each position (by_place): they have no clusters, and an embedding "
            "raises both values.",
            pictures=(
                "clusters/silhouette",
                "clusters/silhouettes",
                "clusters/nearest",
                "clusters/borders",
                "clusters/tsne",
            ),
            numbers=("silhouette", "silhouette/", "clusters/"),
        ),
        Section(
            "Clusters and true classes",
            "Labels are used only here, after everything is chosen. Each cluster gets the majority class of its images as "
            "pseudo-label. Compare a classifier trained on pseudo-labels with one trained on true labels.",
            pictures=(
                "clusters/confusion_mapped",
                "clusters/label_percentages",
                "clusters/label_shares",
                "classifier/confusion_pseudo",
            ),
            numbers=("classifier/", "clusters_as_many_as_classes/"),
        ),
        Section(
            "KMeans without an embedding",
            "The same codes, clustered as they are: at the K of its own best silhouette, and at as many clusters as classes.",
            pictures=("kmeans_on_codes/silhouette_by_k",),
            numbers=("kmeans_on_codes/", "kmeans_on_codes_as_many_as_classes/"),
        ),
        Section(
            "New images",
            "A small prior learns the joint distribution of tokens and samples from it (fresh). Reference values of fid: "
            "tokens drawn independently at each position (codes_by_place), reconstructions of real images, which no prior "
            "can beat, real images, and noise. Bits are the cost of a validation token under the prior, under independent "
            "positions, and under the uniform distribution.",
            pictures=("samples/fresh", "samples/codes_by_place", "samples/nearest_training"),
            numbers=("fid/", "prior/", "distance/"),
        ),
        Section(
            "The codebook",
            "Each code at every position, the most used first. One image with its middle token replaced by each code. "
            "Images whose tokens are replaced, from the top, by those of another image.",
            pictures=("codes/book", "samples/one_code_changed", "samples/edited_codes", "codes/use"),
        ),
    ),
    sample=later("models.dvae.evaluation:draw"),
    smallest={
        "blocks": 0,
        "width": 8,
        "codebook_size": 16,
        "code_dimension": 4,
        "updates": 20,
        "evaluations": 2,
        "prior_updates": 10,
        "prior_width": 8,
        "evaluation_samples": 32,
        "k_most": 4,
        "initialisations": 2,
        "clustered_images": 60,
        "classifier_steps": 3,
        "classifier_seeds": 2,
        "tsne_images": 30,
    },
)
