pub mod contract {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "server",
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        default_bindings_module: "pluto_sdk::contract",
        runtime_path: "wit_bindgen::rt",
    });
}
