//! The choices by name, and the types of the host that each name stands for.

use clap::ValueEnum;
use clap::builder::{EnumValueParser, TypedValueParser};

use pluto_engine::compile::Product;
use pluto_live::DriverChoice;
use pluto_live::console::{Format, Verbosity};
use pluto_trace::engine_kind::EngineKind;

/// Declares the names of a type's variants, with the help text of each, and a parser for them.
macro_rules! choices {
    ($(#[$doc:meta])* $parser:ident -> $target:ident, by $name:ident { $($(#[$help:meta])* $variant:ident),+ $(,)? }) => {
        #[derive(Clone, Copy, Debug, ValueEnum)]
        enum $name {
            $($(#[$help])* $variant),+
        }

        $(#[$doc])*
        pub fn $parser() -> impl TypedValueParser<Value = $target> {
            EnumValueParser::<$name>::new().map(|name| match name {
                $($name::$variant => $target::$variant),+
            })
        }
    };
}

choices! {
    /// A kind of engine, by its name.
    engine -> EngineKind, by Engine {
        /// Compiled code (Cranelift)
        Native,
        /// wasmtime's interpreter, whose code is the same for every processor; slower by far
        Pulley,
    }
}

choices! {
    /// A queue of the operating system, by its name.
    driver -> DriverChoice, by Driver {
        /// io_uring where the system allows it, else epoll
        Auto,
        /// io_uring, or fail
        IoUring,
        /// epoll
        Poll,
    }
}

choices! {
    /// The product of a process that compiles, by its name.
    product -> Product, by MadeOfGuest {
        /// A component, of a core module
        Component,
        /// Code of the processor, of a component
        Native,
        /// Code of wasmtime's interpreter, of a component
        Pulley,
    }
}

choices! {
    /// A format of the log, by its name.
    format -> Format, by LogFormat {
        /// The message; with its level before it, unless that is info
        Text,
        /// One JSON object a line: time, level, message; a message that is a JSON object is nested
        /// as an object
        Json,
        /// Nothing
        Off,
    }
}

choices! {
    /// Which lines of the log are written, by the level that matters least.
    verbosity -> Verbosity, by LogLevel {
        /// Errors only
        Error,
        /// Errors and warnings
        Warn,
        /// Also what a server reports about its work, such as a line for each request
        Info,
        /// Everything, for the guest's author
        Debug,
    }
}
