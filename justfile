# Names for the tasks; what they do is in xtask/, and `cargo xtask help` tells it without just.

set positional-arguments

[private]
default:
    @{{ just_executable() }} --list

# the host and the guests: target/release/pluto-host, target/guests/*.wasm; just build --install
build *ARGS:
    cargo xtask build "$@"

# build, then serve html/ on port 8000; or: just serve guest.wasm 8000 html/
serve *ARGS:
    cargo xtask serve -- "$@"

# every check and every test; just test --install gets what is missing for it
test *ARGS:
    cargo xtask test "$@"

# httplint and REDbot look at the web server's responses; or: just judge --grid
judge *ARGS:
    cargo xtask judge "$@"

# the house rules alone; just tidy --count lowers the lists of exceptions
tidy *ARGS:
    cargo xtask tidy "$@"

# the crates and their dependencies, drawn into ARCHITECTURE.md
graph:
    cargo xtask graph

# the dependencies' licences and sources, against deny.toml
deny:
    cargo xtask deny

# the documentation, private items included, into target/doc/
docs:
    cargo xtask docs

# each guest of examples/, as a stranger builds it
examples:
    cargo xtask examples

# only what compiling guests needs
setup *ARGS:
    cargo xtask setup "$@"

# the web server against its peers, in CPU time for each request
bench *ARGS:
    cargo xtask bench "$@"

# a request's instructions, against what they were; just count --only 304, just count --update "why"
count *ARGS:
    cargo xtask count "$@"
