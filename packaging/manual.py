#!/usr/bin/env python3
"""Manual pages and completions, made from what a program itself says with --help.

So they can say nothing that the packaged program does not know. A line of the help that is not understood
is an error, not a gap.

    manual.py PROGRAM SECTION OUT                 PROGRAM's page, and completions for bash, zsh and fish, below OUT/usr/share
    manual.py --file FILE TITLE "WHAT IT IS" OUT  the page of a commented configuration file: the file itself
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ENTRY = re.compile(r"^  (?P<short>-\w, |    )?(?P<long>--[\w-]+)(?P<value> <[^>]+>)?(  +(?P<text>\S.*))?$")
WORD = re.compile(r"^  (?P<name>[\w<\[][\w<>\[\].-]*)(  +(?P<text>\S.*))?$")
CHOICES = re.compile(r"\[possible values: ([^\]]+)\]")
SEE_ALSO = {
    "millwright-agent": "millwright-agent.toml(5), millwright(1)",
    "millwright-coordinator": "millwright-coordinator.toml(5), millwright-policy.toml(5), millwright(1)",
    "millwright": "millwright-coordinator(8), millwright-agent(8), millwright-policy.toml(5)",
}
EXIT_STATUS = {
    "millwright": [
        ("0", "Done, or allowed."),
        ("10", "Wait: it clears by itself, or when something happens."),
        ("11", "A person has to decide."),
        ("12", "Refused: only a change of the policy could allow it."),
        ("1", "Something failed."),
        ("2", "Wrong usage."),
    ],
    "millwright-agent": [
        ("0", "Done; of check: everything is ok."),
        ("1", "Something failed; of check: the worst finding is warn."),
        ("2", "Of check: the worst finding is crit."),
        ("3", "Of check: the worst finding is unknown, or the check failed."),
        ("64", "Wrong usage."),
    ],
    "millwright-coordinator": [("0", "Done."), ("1", "Something failed."), ("2", "Wrong usage.")],
}


class Help:
    """What one command says about itself, and its subcommands."""

    def __init__(self, program, path):
        self.path = path
        self.about, self.usage = "", []
        self.commands, self.arguments, self.options = [], [], []
        self._read(asked([program, *path[1:], "--help"]))
        self.children = [Help(program, [*path, name]) for name, _ in self.commands if name != "help"]

    def _read(self, text):
        section, last = "about", None
        for line in text.splitlines():
            if not line.strip():
                last = None
            elif line.startswith("Usage: "):
                section = "usage"
                self.usage.append(line.removeprefix("Usage: "))
            elif line in ("Commands:", "Arguments:", "Options:"):
                section = line[:-1].lower()
            elif section == "about":
                self.about = f"{self.about} {line}".strip()
            elif section == "usage" and line.startswith("       "):
                self.usage.append(line.strip())
            elif section == "options" and (match := ENTRY.match(line)):
                last = [(match["short"] or "").strip(" ,"), match["long"], (match["value"] or "").strip(), match["text"] or ""]
                self.options.append(last)
            elif section in ("commands", "arguments") and (match := WORD.match(line)):
                last = [match["name"], match["text"] or ""]
                (self.commands if section == "commands" else self.arguments).append(last)
            elif last is not None and line.startswith("          "):
                last[-1] = f"{last[-1]} {line.strip()}".strip()
            else:
                sys.exit(f"manual: {' '.join(self.path)} --help: this line is not understood: {line!r}")
        if not self.about or not self.usage or not self.options:
            sys.exit(f"manual: {' '.join(self.path)} --help: no description, usage or options are in it")

    def everyone(self):
        """This command and all below it."""
        yield self
        for child in self.children:
            yield from child.everyone()


def asked(command):
    """What a program says, the same whoever asks: the help shows the values of its environment."""
    told = subprocess.run(command, env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, capture_output=True, text=True, timeout=60)
    if told.returncode != 0:
        sys.exit(f"manual: {' '.join(command)} ended with {told.returncode}: {told.stderr}")
    return told.stdout


def roff(text):
    """Text that roff takes as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def header(title, section):
    return f'.TH "{roff(title.upper())}" "{section}" "" "Millwright" ""\n.nh\n.ad l'


def option_lines(options):
    for short, long, value, text in options:
        names = ", ".join(f"\\fB{roff(name)}\\fR" for name in (short, long) if name)
        yield f".TP\n{names}{' ' if value else ''}{roff(value)}\n{roff(text)}"


def page(help_, section):
    """The manual page of a program."""
    name = help_.path[0]
    top = {option[1] for option in help_.options}
    lines = [header(name, section), f".SH NAME\n{roff(name)} \\- {roff(help_.about)}", ".SH SYNOPSIS"]
    lines += ["\n.br\n".join(roff(usage) for usage in help_.usage)]
    lines += [".SH OPTIONS", *option_lines(help_.options)]
    if help_.children:
        lines += [".SH COMMANDS"]
    for child in list(help_.everyone())[1:]:
        lines += [f".SS {roff(' '.join(child.path[1:]))}", "\n.br\n".join(roff(usage) for usage in child.usage)]
        lines += [f".PP\n{roff(child.about)}."]
        lines += [f".TP\n{roff(argument)}\n{roff(text)}" for argument, text in child.arguments]
        lines += option_lines(option for option in child.options if option[1] not in top)
    lines += [".SH EXIT STATUS", *(f".TP\n{code}\n{roff(text)}" for code, text in EXIT_STATUS[name])]
    lines += [".SH SEE ALSO", roff(SEE_ALSO[name])]
    return "\n".join(lines) + "\n"


def file_page(file, title, what):
    """The manual page of a file that explains itself."""
    text = "\n".join(roff(line) for line in Path(file).read_text().splitlines())
    return "\n".join(
        [header(title, 5), f".SH NAME\n{roff(title)} \\- {roff(what)}", ".SH DESCRIPTION",
         "The file as it is shipped. Each key is explained above it.", ".PP", ".nf", text, ".fi"]
    ) + "\n"


def quoted(text):
    """A word for a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def offers(command):
    """What may follow a command: subcommands, then options, each with its sentence."""
    found = [(name, text) for name, text in command.commands]
    return found + [(long, text) for _, long, _, text in command.options]


def bash(help_):
    name, function = help_.path[0], "_" + help_.path[0].replace("-", "_")
    lines = [f"# Completions of {name} for bash.", f"{function}() {{", f"    local place={quoted(name)} word",
             '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do', '        case "$place $word" in']
    lines += [f"        {quoted(' '.join(child.path))}) place={quoted(' '.join(child.path))} ;;"
              for child in list(help_.everyone())[1:]]
    lines += ["        esac", "    done", "    local words=",
              '    case "$place ${COMP_WORDS[COMP_CWORD-1]}" in']
    for command in help_.everyone():
        for _, long, value, text in command.options:
            where = quoted(" ".join([*command.path, long]))
            if choices := CHOICES.search(text):
                lines += [f"    {where}) words={quoted(choices[1].replace(',', ''))} ;;"]
            elif value:
                lines += [f"    {where}) COMPREPLY=($(compgen -f -- \"$2\")); return ;;"]
    lines += ["    *)", '        case "$place" in']
    for command in help_.everyone():
        lines += [f"        {quoted(' '.join(command.path))}) words={quoted(' '.join(word for word, _ in offers(command)))} ;;"]
    lines += ["        esac", "        ;;", "    esac", '    COMPREPLY=($(compgen -W "$words" -- "$2"))', "}",
              f"complete -o default -F {function} {name}"]
    return "\n".join(lines) + "\n"


def zsh(help_):
    name = help_.path[0]
    lines = [f"#compdef {name}", f"# Completions of {name} for zsh.", f"local place={quoted(name)} word",
             "local -a commands options", 'for word in "${(@)words[2,CURRENT-1]}"; do', '    case "$place $word" in']
    lines += [f"    {quoted(' '.join(child.path))}) place={quoted(' '.join(child.path))} ;;"
              for child in list(help_.everyone())[1:]]
    lines += ["    esac", "done", 'case "$place" in']
    for command in help_.everyone():
        commands = " ".join(quoted(f"{word}:{text}") for word, text in command.commands)
        options = " ".join(quoted(f"{long}:{text}") for _, long, _, text in command.options)
        lines += [f"{quoted(' '.join(command.path))})", f"    commands=({commands})", f"    options=({options})", "    ;;"]
    lines += ["esac", "if [[ $PREFIX == -* ]]; then", "    _describe -o option options",
              "elif (( $#commands )); then", "    _describe command commands", "else", "    _default", "fi"]
    return "\n".join(lines) + "\n"


def fish(help_):
    name = help_.path[0]
    lines = [f"# Completions of {name} for fish.", f"complete -c {name} -e"]
    for command in help_.everyone():
        above, below = command.path[1:], [word for word, _ in command.commands]
        when = [f"__fish_seen_subcommand_from {word}" for word in above]
        when += [f"not __fish_seen_subcommand_from {' '.join(below)}"] if below else []
        condition = f" -n {quoted('; and '.join(when))}" if when else ""
        for word, text in command.commands:
            lines += [f"complete -c {name} -f{condition} -a {word} -d {quoted(text)}"]
        condition = f" -n {quoted('; and '.join(when[: len(above)]))}" if above else ""
        inherited = {option[1] for option in help_.options} if above else set()
        for short, long, value, text in command.options:
            if long not in inherited:
                choices = CHOICES.search(text)
                takes = f" -x -a {quoted(choices[1].replace(',', ''))}" if choices else " -r" if value else ""
                lines += [f"complete -c {name}{condition}{f' -s {short[1:]}' if short else ''} -l {long[2:]}{takes} -d {quoted(text)}"]
    return "\n".join(lines) + "\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main(arguments):
    match arguments:
        case ["--file", file, title, what, out]:
            write(Path(out, f"usr/share/man/man5/{title}.5"), file_page(file, title, what))
        case [program, section, out]:
            help_ = Help(program, [Path(program).name])
            name, share = help_.path[0], Path(out, "usr/share")
            write(share / f"man/man{section}/{name}.{section}", page(help_, section))
            write(share / f"bash-completion/completions/{name}", bash(help_))
            write(share / f"zsh/site-functions/_{name}", zsh(help_))
            write(share / f"fish/vendor_completions.d/{name}.fish", fish(help_))
        case _:
            sys.exit(__doc__)


main(sys.argv[1:])
