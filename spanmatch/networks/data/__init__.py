"""Data sets: images, tokens and other samples with stable ids, some held out from training, by name."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.networks.data.digits import scanned_digits as scanned_digits
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
    from spanmatch.networks.data.downloads import DatasetNotFoundError as DatasetNotFoundError
    from spanmatch.networks.data.text import (
        jargon_file as jargon_file,
        python_topics as python_topics,
        text_dataset as text_dataset,
        text_files as text_files,
    )
    from spanmatch.networks.data.preprocessing import Preprocessing as Preprocessing
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "spanmatch.networks.data.files": "ImageFiles UnreadableImageError",
            "spanmatch.networks.data.folders": "image_folder",
            "spanmatch.networks.data.dataset": "AnySamples Dataset",
            "spanmatch.networks.data.images": "Images",
            "spanmatch.networks.data.samples": "Samples padded",
            "spanmatch.networks.data.load": "forget_datasets load_dataset load_source",
            "spanmatch.networks.data.downloads": "DatasetNotFoundError",
            "spanmatch.networks.data.preprocessing": "Preprocessing",
            "spanmatch.networks.data.text": "jargon_file python_topics text_dataset text_files",
            "spanmatch.networks.data.digits": "scanned_digits",
        },
        extra="torch",
    )
