"""Options that several studies share."""

from pathlib import Path

import click

data_root_option = click.option(
    "--data-root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with any of mnist, fashion_mnist, svhn, cifar-10-batches-bin, cifar-100-binary.",
)
fresh_option = click.option(
    "--fresh", is_flag=True, help="Also measure the rows that were measured before."
)
cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path(".cache"),
    show_default=True,
    help="Where trained networks are kept.",
)
