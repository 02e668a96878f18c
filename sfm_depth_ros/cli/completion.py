# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth completion``: a script that completes commands, options and choices in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

SHELLS = ("bash", "zsh")
MODEL_NAMES = ("shipped", "current")
_SCRIPT = """_sfm_depth() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= word
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ $word != -* ]]; then command=$word; break; fi
    done
    local words= choices= names=
    case "$command $before" in
{choices}
    esac
    case "$command" in
{commands}
    esac
    if [[ -n $choices ]]; then
        COMPREPLY=($(compgen -W "$choices" -- "$current"))
    elif [[ -z $command || $current == -* ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    else
        COMPREPLY=($(compgen -W "$names" -- "$current") $(compgen -f -- "$current"))
    fi
}}
complete -o filenames -F _sfm_depth sfm-depth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "shell",
        choices=SHELLS,
        help='in ~/.bashrc: eval "$(sfm-depth completion bash)"',
    )


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    from sfm_depth_ros.cli.main import every_command

    if options.shell == "zsh":
        print("autoload -Uz compinit bashcompinit && compinit && bashcompinit")
    print(script(every_command()), end="")
    return 0


def script(commands: dict[str, argparse.ArgumentParser]) -> str:
    """The script for commands by name."""
    choices = [line for name, parser in commands.items() for line in _choices(name, parser)]
    words = [f'        "") words="{" ".join(commands)} --help --version --verbose";;']
    for name, parser in commands.items():
        options = [text for action in parser._actions for text in action.option_strings]
        takes_model = any(action.dest == "model" for action in parser._actions)
        names = f' names="{" ".join(MODEL_NAMES)}"' if takes_model else ""
        words.append(f'        {name}) words="{" ".join(options)}"{names};;')
    return _SCRIPT.format(choices="\n".join(choices), commands="\n".join(words))


def _choices(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if not action.choices:
            continue
        values = " ".join(map(str, action.choices))
        places = action.option_strings or [name]
        for place in places:
            yield f'        "{name} {place}") choices="{values}";;'
