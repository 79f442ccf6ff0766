# Names for the tasks; what they do is in xtask/, and `cargo xtask help` tells it without just.

set positional-arguments

[private]
default:
    @{{ just_executable() }} --list

# the host and the guests: target/release/pluto-host, target/guests/*.wasm
build:
    cargo xtask build

# build, then serve html/ on port 8000; or: just serve guest.wasm 8000 html/
serve *ARGS:
    cargo xtask serve -- "$@"

# every check and every test
test:
    cargo xtask test

# httplint and REDbot look at the web server's responses; or: just judge --grid
judge *ARGS:
    cargo xtask judge "$@"

# the house rules alone
tidy:
    cargo xtask tidy

# only what compiling guests needs
setup:
    cargo xtask setup

# the web server against its peers, in CPU time for each request
bench *ARGS:
    cargo xtask bench "$@"

# the instructions of a request, against what they were; or: just count --only 304, just count --update "why"
count *ARGS:
    cargo xtask count "$@"
