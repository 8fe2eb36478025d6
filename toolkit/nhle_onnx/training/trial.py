"""Whether a torch device truly trains here."""

import torch
from torch.nn import functional

DEVICES = ("cpu", "cuda", "mps")


def find_device_fault(device: str) -> str | None:
    """Find why a device does not compute a convolution's gradient, or None if it does."""
    backend = getattr(torch.backends, device, None) if device == "mps" else torch.cuda
    if device != "cpu" and not (backend and backend.is_available()):
        return f"torch {torch.__version__} finds no such device"
    generator = torch.Generator().manual_seed(0)
    image, kernel = torch.randn(2, 1, 1, 4, 4, generator=generator)
    try:
        weight = kernel.to(device).requires_grad_()
        functional.conv2d(image.to(device), weight).square().sum().backward()
        gradient = weight.grad.cpu() if weight.grad is not None else None
    except Exception as error:  # noqa: BLE001 - drivers fail in many ways, all of them the answer
        return " ".join(str(error).split())
    expected = 2 * (image * kernel).sum() * image
    if gradient is not None and torch.allclose(gradient, expected, atol=1e-2):
        return None
    return "its gradients are wrong"
