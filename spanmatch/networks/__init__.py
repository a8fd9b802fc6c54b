"""Networks: architectures, data sets, training, and the activations of named layers. PyTorch only."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.networks.activations import extract as extract
    from spanmatch.networks.architectures import build as build
    from spanmatch.networks.data.files import (
        ImageFiles as ImageFiles,
        UnreadableImageError as UnreadableImageError,
    )
    from spanmatch.networks.data.folders import image_folder as image_folder
    from spanmatch.networks.data.dataset import AnySamples as AnySamples, Dataset as Dataset
    from spanmatch.networks.data.images import Images as Images
    from spanmatch.networks.data.samples import Samples as Samples, padded as padded
    from spanmatch.networks.data.load import (
        forget_datasets as forget_datasets,
        load_dataset as load_dataset,
        load_source as load_source,
    )
    from spanmatch.networks.data.appearance import (
        Appearance as Appearance,
        NoAppearanceError as NoAppearanceError,
        appearances as appearances,
    )
    from spanmatch.networks.data.downloads import DatasetNotFoundError as DatasetNotFoundError
    from spanmatch.networks.data.preprocessing import Preprocessing as Preprocessing
    from spanmatch.networks.datasource import DataSource as DataSource, Framing as Framing, HeldOut as HeldOut
    from spanmatch.networks.determinism import (
        deterministic as deterministic,
        resolve_device as resolve_device,
        use_gpu as use_gpu,
    )
    from spanmatch.networks.evaluation import (
        evaluate as evaluate,
        foresees as foresees,
        judge as judge,
        require_logits as require_logits,
    )
    from spanmatch.networks.factories import require_same_code as require_same_code
    from spanmatch.networks.layers import (
        Chosen as Chosen,
        Layer as Layer,
        UnusableLayerError as UnusableLayerError,
        as_if_said as as_if_said,
        choose as choose,
    )
    from spanmatch.networks.outcome import Snapshot as Snapshot, Epoch as Epoch, Trained as Trained
    from spanmatch.networks.padding import check_mask as check_mask
    from spanmatch.networks.passes import (
        Float16OverflowError as Float16OverflowError,
        NonFiniteActivationsError as NonFiniteActivationsError,
        neurons_last as neurons_last,
    )
    from spanmatch.networks.positions import draw_positions as draw_positions
    from spanmatch.networks.probing import list_layers as list_layers
    from spanmatch.networks.project import (
        project_digest as project_digest,
        project_modules as project_modules,
    )
    from spanmatch.networks.recipe import (
        Augmentation as Augmentation,
        Recipe as Recipe,
        Schedule as Schedule,
        epochs_needed as epochs_needed,
        require_checkpoints as require_checkpoints,
    )
    from spanmatch.networks.resume import weights_of as weights_of
    from spanmatch.networks.timing import (
        NetworkCost as NetworkCost,
        epoch_cost as epoch_cost,
        pass_cost as pass_cost,
    )
    from spanmatch.networks.training import (
        NonFiniteLossError as NonFiniteLossError,
        require_trainable as require_trainable,
        train as train,
    )
    from spanmatch.networks.weight_files import read_weights as read_weights
    from spanmatch.networks.weights import WeightsError as WeightsError, fit_weights as fit_weights
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "spanmatch.networks.activations": "extract",
            "spanmatch.networks.architectures": "build",
            "spanmatch.networks.data.appearance": "Appearance NoAppearanceError appearances",
            "spanmatch.networks.data.files": "ImageFiles UnreadableImageError",
            "spanmatch.networks.data.folders": "image_folder",
            "spanmatch.networks.data.dataset": "AnySamples Dataset",
            "spanmatch.networks.data.images": "Images",
            "spanmatch.networks.data.samples": "Samples padded",
            "spanmatch.networks.data.load": "forget_datasets load_dataset load_source",
            "spanmatch.networks.data.downloads": "DatasetNotFoundError",
            "spanmatch.networks.data.preprocessing": "Preprocessing",
            "spanmatch.networks.datasource": "DataSource Framing HeldOut",
            "spanmatch.networks.determinism": "deterministic resolve_device use_gpu",
            "spanmatch.networks.evaluation": "evaluate foresees judge require_logits",
            "spanmatch.networks.factories": "require_same_code",
            "spanmatch.networks.layers": "Chosen Layer UnusableLayerError as_if_said choose",
            "spanmatch.networks.outcome": "Snapshot Epoch Trained",
            "spanmatch.networks.padding": "check_mask",
            "spanmatch.networks.passes": "Float16OverflowError NonFiniteActivationsError neurons_last",
            "spanmatch.networks.positions": "draw_positions",
            "spanmatch.networks.probing": "list_layers",
            "spanmatch.networks.project": "project_digest project_modules",
            "spanmatch.networks.recipe": "Augmentation Recipe Schedule epochs_needed require_checkpoints",
            "spanmatch.networks.resume": "weights_of",
            "spanmatch.networks.timing": "NetworkCost epoch_cost pass_cost",
            "spanmatch.networks.training": "NonFiniteLossError require_trainable train",
            "spanmatch.networks.weight_files": "read_weights",
            "spanmatch.networks.weights": "WeightsError fit_weights",
        },
        extra="torch",
    )
