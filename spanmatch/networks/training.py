"""Training of one network from one seed, with the same bits every time on one kind of device."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray

from spanmatch.errors import InputValueError
from spanmatch.networks.architectures import build
from spanmatch.networks.batches import batches
from spanmatch.networks.data import AnySamples, Dataset, Images
from spanmatch.networks.determinism import deterministic, resolve_device
from spanmatch.networks.evaluation import Evaluation, evaluate
from spanmatch.networks.logits import logits
from spanmatch.networks.optimisers import optimiser_of
from spanmatch.networks.outcome import Epoch, Snapshot, Trained
from spanmatch.networks.recipe import Recipe, epochs_needed, require_checkpoints
from spanmatch.networks.resume import ResumeStore, State, weights_of
from spanmatch.networks.training_tasks.training_task import TrainingTask

# Looking at a loss makes a CUDA device wait, so it is looked at a few steps later.
_STEPS_BETWEEN_CHECKS = 20


class NonFiniteLossError(InputValueError):
    """The loss became NaN or infinite: nothing can be learnt from there on."""


def train(
    architecture: str,
    width: float,
    dataset: Dataset,
    seed: int,
    recipe: Recipe,
    *,
    keep: Collection[str] = ("initial", "final"),
    device: str = "cpu",
    mixed_precision: bool = False,
    resume: ResumeStore | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Trained:
    """Train a network; return its checkpoints and history.

    Parameters
    ----------
    architecture, width, dataset, seed, recipe
        What determines the weights: the same five give the same bits on one kind of device.
    keep
        Checkpoints to return: ``initial`` (untrained), ``epoch<k>`` (after k epochs), ``best`` (after the
        epoch of the highest held-out accuracy, or of the lowest held-out loss where the task says so; the
        first of equals), ``final``. The training ends when all are there.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    mixed_precision
        Compute in bfloat16 what bears it; on CUDA only. Accuracies and losses on held-out images are always
        those of float32.
    resume
        Where the state is saved after every epoch. A training of the same arguments that finds one there
        goes on from it, to the same bits.
    on_epoch
        Called after each epoch, and at the start for those that are resumed.

    Raises
    ------
    NonFiniteLossError
        If the loss becomes NaN or infinite.
    ValueError
        If an argument breaks its rule.
    """
    place = resolve_device(device)
    require_trainable(dataset, recipe)
    training, task = _training_samples(dataset), dataset.trained_for
    require_checkpoints(keep, recipe.epochs)
    if mixed_precision and place != "cuda":
        raise InputValueError(f"`mixed_precision` must be false without a CUDA device, got true on {place!r}")
    with deterministic(seed, place):
        network = build(architecture, training.shape, dataset.classes, width).to(place)
        optimiser = optimiser_of(network, recipe)
        question = {
            "network": [architecture, width, seed, place, mixed_precision],
            "dataset": [dataset.name, len(training), len(dataset.held_out)],
            "recipe": asdict(recipe),
            "keep": sorted(keep),
        }
        state = State(network, optimiser, place, json.loads(json.dumps(question)))
        if resume is not None:
            state.restore(resume)
        for done in state.history:
            on_epoch(done)
        if not state.history and "initial" in keep:
            _keep(state, keep, recipe, evaluate(network, dataset.held_out, place, task), task)
        images = training.spread(recipe.images)
        for epoch in range(len(state.history) + 1, epochs_needed(keep, recipe.epochs) + 1):
            loss = _epoch(state, images, recipe, epoch, task, mixed_precision=mixed_precision)
            found = evaluate(network, dataset.held_out, place, task)
            if not np.isfinite(found.loss):
                raise NonFiniteLossError(
                    _not_finite(found.loss, f"on held-out {dataset.items} after epoch {epoch}", recipe)
                )
            rate = optimiser.param_groups[0]["lr"]
            state.history.append(Epoch(epoch, rate, loss, found.loss, found.accuracy))
            _keep(state, keep, recipe, found, task)
            if resume is not None:
                state.save(resume)
            on_epoch(state.history[-1])
    return Trained(state.checkpoints, tuple(state.history))


def require_trainable(dataset: Dataset, recipe: Recipe) -> None:
    """See that a data set can be trained on by a recipe.

    Raises
    ------
    ValueError
        If not.
    """
    training = _training_samples(dataset)
    images = len(training)
    if recipe.images is not None and not 1 <= recipe.images <= images:
        message = (
            f"`training.images` must be from 1 to {images}, the training {dataset.items} of "
            f"{dataset.name!r}, got {recipe.images}; leave it out for all"
        )
        raise InputValueError(message)
    if (recipe.images or images) % recipe.batch_size == 1:
        message = (
            "`batch_size` must not leave a last batch of one, which batch normalisation cannot take, "
            f"got {recipe.batch_size} for {recipe.images or images} {dataset.items}; take one more"
        )
        raise InputValueError(message)
    if recipe.augment and not (isinstance(training, Images) and len(training.shape) == 3):
        message = (
            f"`augment` must be empty for what is no image, got {list(recipe.augment)} for samples of shape "
            f"{training.shape}"
        )
        raise InputValueError(message)


def _training_samples(dataset: Dataset) -> AnySamples:
    if dataset.training is None:
        raise InputValueError(
            f"`dataset` must have {dataset.items} to train on, got none in {dataset.name!r}; give trained "
            "networks as `weights`"
        )
    return dataset.training


def _epoch(
    state: State, images: AnySamples, recipe: Recipe, epoch: int, task: TrainingTask, *, mixed_precision: bool
) -> float:
    """Pass over the training samples once; return the mean loss."""
    network, optimiser, device = state.network, state.optimiser, state.device
    steps = -(-len(images) // recipe.batch_size)
    losses = torch.zeros(steps, device=device)
    network.train()
    for step, batch in enumerate(batches(images, recipe, ahead=device == "cuda")):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate((epoch - 1) * steps + step, steps)
        with torch.autocast(device, torch.bfloat16, enabled=mixed_precision):
            found = logits(network, batch.arguments, device)
        loss = task.loss(found, batch.targets(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses[step] = loss.detach()
        if step % _STEPS_BETWEEN_CHECKS == 0 or step == steps - 1:
            _require_finite(losses[: step + 1].cpu().numpy(), epoch, recipe)
    return float(losses.double().mean())


def _keep(state: State, keep: Collection[str], recipe: Recipe, found: Evaluation, task: TrainingTask) -> None:
    """Keep the weights under every name that this moment has and that is asked for."""
    epoch = len(state.history)
    names = {f"epoch{epoch}"} if epoch else {"initial"}
    if epoch == recipe.epochs:
        names.add("final")
    if epoch and _is_best(state.history[:-1], found, task):
        names.add("best")
    if names := names.intersection(keep):
        checkpoint = Snapshot(weights_of(state.network), found.accuracy, found.loss, epoch)
        state.checkpoints |= dict.fromkeys(names, checkpoint)


def _is_best(earlier: Sequence[Epoch], found: Evaluation, task: TrainingTask) -> bool:
    if task.best == "loss":
        return all(found.loss < done.held_out_loss for done in earlier)
    return all(found.accuracy > done.held_out_accuracy for done in earlier)


def _require_finite(losses: NDArray[np.float32], epoch: int, recipe: Recipe) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if len(wrong):
        raise NonFiniteLossError(
            _not_finite(float(losses[wrong[0]]), f"in step {wrong[0] + 1} of epoch {epoch}", recipe)
        )


def _not_finite(loss: float, when: str, recipe: Recipe) -> str:
    return (
        f"the loss must be finite, got {loss} {when}; lower `learning_rate` ({recipe.learning_rate:g}), "
        "or look for data that are wrong"
    )
