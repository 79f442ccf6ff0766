//! The bindings of `wit/`, and the only place that names generated types.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "server",
    imports: { default: trappable },
    additional_derives: [PartialEq, Eq],
});
