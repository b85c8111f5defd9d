"""Commands, called in this process."""

from typer.testing import CliRunner


def run(app, *arguments, code=0):
    """Call a typer app; it must end with the exit code."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return result
