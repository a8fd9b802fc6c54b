"""Data sets: images with stable ids, split into training and held-out images, loaded by name."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.networks.data.digits import scanned_digits as scanned_digits
    from spanmatch.networks.data.files import (
        ImageFiles as ImageFiles,
        UnreadableImageError as UnreadableImageError,
    )
    from spanmatch.networks.data.folders import image_folder as image_folder
    from spanmatch.networks.data.images import Dataset as Dataset, Images as Images
    from spanmatch.networks.data.load import (
        forget_datasets as forget_datasets,
        load_dataset as load_dataset,
        load_source as load_source,
    )
    from spanmatch.networks.data.downloads import DatasetNotFoundError as DatasetNotFoundError
    from spanmatch.networks.data.preprocessing import Preprocessing as Preprocessing
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "spanmatch.networks.data.files": "ImageFiles UnreadableImageError",
            "spanmatch.networks.data.folders": "image_folder",
            "spanmatch.networks.data.images": "Dataset Images",
            "spanmatch.networks.data.load": "forget_datasets load_dataset load_source",
            "spanmatch.networks.data.downloads": "DatasetNotFoundError",
            "spanmatch.networks.data.preprocessing": "Preprocessing",
            "spanmatch.networks.data.digits": "scanned_digits",
        },
        extra="torch",
    )
