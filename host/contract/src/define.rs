//! How types of the contract are defined: with their names in Rust and in the WIT.
//!
//! The feature `wasmtime` gives them what wasmtime's own bindings would have: the layout of the
//! canonical ABI. `Debug` writes them as those bindings do, and as the guests' bindings do.
//!
//! Records have their fields in the order of the WIT (`repr(C)`), as in the guest's memory. In
//! another order, a request to the web server had 1 % more instructions in the guest and 2 % more
//! in the host (`cargo xtask count`).

/// Defines a record: `field: type = "name in the WIT"`.
macro_rules! record {
    ($name:ident $(: $derive:ident)? { $($(#[$doc:meta])* $field:ident: $type:ty = $wit:literal),* $(,)? }) => {
        #[cfg_attr(
            feature = "wasmtime",
            derive(wasmtime::component::ComponentType, wasmtime::component::Lift, wasmtime::component::Lower),
            component(record)
        )]
        #[derive(Clone, $($derive,)? PartialEq, Eq)]
        #[repr(C)]
        pub struct $name {
            $($(#[$doc])* #[cfg_attr(feature = "wasmtime", component(name = $wit))] pub $field: $type,)*
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))$(.field($wit, &self.$field))*.finish()
            }
        }
    };
}

/// Defines a variant: `Case(type) = "name in the WIT"`.
macro_rules! variant {
    ($name:ident $(: $derive:ident)? { $($(#[$doc:meta])* $case:ident $(($type:ty))? = $wit:literal),* $(,)? }) => {
        #[cfg_attr(
            feature = "wasmtime",
            derive(wasmtime::component::ComponentType, wasmtime::component::Lift, wasmtime::component::Lower),
            component(variant)
        )]
        #[derive(Clone, $($derive,)? PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* #[cfg_attr(feature = "wasmtime", component(name = $wit))] $case $(($type))?,)*
        }

        impl $name {
            /// The name of the case in the WIT.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$case { .. } => $wit,)*
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$case $((payload!(value, $type)))? => {
                        f.debug_tuple(concat!(stringify!($name), "::", stringify!($case)))
                            $(.field(payload!(value, $type)))?
                            .finish()
                    })*
                }
            }
        }
    };
}

/// The name of a case's payload, which is there once for each type of a payload.
macro_rules! payload {
    ($name:ident, $type:ty) => {
        $name
    };
}

/// Defines an enumeration: `Case = "name in the WIT"`.
macro_rules! enumeration {
    ($name:ident { $($(#[$doc:meta])* $case:ident = $wit:literal),* $(,)? }) => {
        #[cfg_attr(
            feature = "wasmtime",
            derive(wasmtime::component::ComponentType, wasmtime::component::Lift, wasmtime::component::Lower),
            component(enum)
        )]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$doc])* #[cfg_attr(feature = "wasmtime", component(name = $wit))] $case,)*
        }

        impl $name {
            /// All cases, in the order of the WIT.
            pub const ALL: &[Self] = &[$(Self::$case),*];

            /// The name of the case in the WIT.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $wit,)*
                }
            }

            /// The case of that number, as the guests' bindings take it from the host. The
            /// canonical ABI hands over no other number.
            #[doc(hidden)]
            #[inline]
            pub fn _lift(number: u8) -> Self {
                match number {
                    $(number if number == Self::$case as u8 => Self::$case,)*
                    _ => Self::ALL[0],
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$case => concat!(stringify!($name), "::", stringify!($case)),)*
                })
            }
        }
    };
}

pub(crate) use {enumeration, payload, record, variant};
