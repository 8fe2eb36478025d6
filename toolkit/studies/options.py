"""Options that several studies share."""

from pathlib import Path

import click

data_root_option = click.option(
    "--data-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Holds mnist, fashion_mnist, svhn, cifar-10-batches-bin, cifar-100-binary, or some.",
)
fresh_option = click.option(
    "--fresh", is_flag=True, help="Measure again what was measured of this study."
)
cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path(".cache"),
    show_default=True,
    help="Where trained networks are kept.",
)
