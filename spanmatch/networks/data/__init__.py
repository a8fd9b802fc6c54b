"""Data sets: images with stable ids, split into training and held-out images, loaded by name."""

from spanmatch.networks.data.downloads import DatasetNotFoundError
from spanmatch.networks.data.files import ImageFiles, UnreadableImageError
from spanmatch.networks.data.folders import image_folder
from spanmatch.networks.data.images import Dataset, Images
from spanmatch.networks.data.load import forget_datasets, load_dataset, load_source
from spanmatch.networks.data.preprocessing import Preprocessing

__all__ = [
    "Dataset",
    "DatasetNotFoundError",
    "ImageFiles",
    "Images",
    "Preprocessing",
    "UnreadableImageError",
    "forget_datasets",
    "image_folder",
    "load_dataset",
    "load_source",
]
