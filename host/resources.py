"""Where the files of config/ are, in a checkout and in an installed wheel."""

from pathlib import Path

from infusion.errors import ConfigError

# The folder that holds the packages: a checkout, or the site-packages of an installed wheel.
_ROOT = Path(__file__).resolve().parent.parent


def config_path(name: str) -> Path:
    """The path of `name` ("monitor.toml", "scenarios", "scenarios/demo.toml") in config/.

    Raises ConfigError that names what was looked for, and where.
    """
    folder = _config_folder()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise ConfigError(f"config/{name} lies outside {folder}; give such a file by its full path")
    if not path.exists():
        raise ConfigError(f"config/{name} was not found; looked for {path}")
    return path


def _config_folder() -> Path:
    # The wheel's folder comes first: beside an installed package, a folder named config may be
    # anybody's, while a checkout has none inside dripwatch/.
    candidates = (_ROOT / "dripwatch" / "config", _ROOT / "config")
    for folder in candidates:
        if folder.is_dir():
            return folder
    looked = " and ".join(str(folder) for folder in candidates)
    raise ConfigError(
        f"the folder config/ was not found; looked for {looked}; install dripwatch again"
    )
