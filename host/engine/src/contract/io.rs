//! The four functions that a guest imports, on the types of `pluto_contract`.
//!
//! wasmtime's bindings of the world take the interface from here. When a guest is admitted,
//! wasmtime compares these types with those of the guest.

use wasmtime::component::{HasData, Linker, LinkerInstance};
use wasmtime::{Result, StoreContextMut};

use super::{INTERFACE, v0_2};
use pluto_contract::{Answer, Level, Submission};

/// What a guest can call. An error ends the guest.
pub trait Host {
    /// The contract's `send`.
    fn send(&mut self, requests: Vec<Submission>) -> Result<()>;

    /// The contract's `receive`.
    fn receive(&mut self) -> Result<Vec<Answer>>;

    /// The contract's `time`.
    fn time(&mut self) -> Result<u64>;

    /// The contract's `log`.
    fn log(&mut self, level: Level, message: String) -> Result<()>;
}

/// What wasmtime's bindings ask of an interface: where its state is in a store of `T`.
pub trait HostWithStore<T>: HasData {}
impl<H: HasData + ?Sized, T> HostWithStore<T> for H {}

impl<H: Host + ?Sized> Host for &mut H {
    fn send(&mut self, requests: Vec<Submission>) -> Result<()> {
        H::send(self, requests)
    }

    fn receive(&mut self) -> Result<Vec<Answer>> {
        H::receive(self)
    }

    fn time(&mut self) -> Result<u64> {
        H::time(self)
    }

    fn log(&mut self, level: Level, message: String) -> Result<()> {
        H::log(self, level, message)
    }
}

/// Gives a linker the four functions, for guests of this version and of the earlier one.
pub fn add_to_linker<T, D>(linker: &mut Linker<T>, host: fn(&mut T) -> D::Data<'_>) -> Result<()>
where
    D: HostWithStore<T>,
    for<'a> D::Data<'a>: Host,
    T: 'static,
{
    let mut io = linker.instance(INTERFACE)?;
    io.func_wrap("send", move |mut store: StoreContextMut<'_, T>, (requests,): (Vec<Submission>,)| {
        host(store.data_mut()).send(requests)
    })?;
    add_others::<T, D>(&mut io, host)?;
    let mut io = linker.instance(v0_2::INTERFACE)?;
    io.func_wrap("send", move |mut store: StoreContextMut<'_, T>, (requests,): (Vec<v0_2::Submission>,)| {
        host(store.data_mut()).send(requests.into_iter().map(Into::into).collect())
    })?;
    add_others::<T, D>(&mut io, host)
}

/// The functions that are the same in both versions.
fn add_others<T, D>(io: &mut LinkerInstance<'_, T>, host: fn(&mut T) -> D::Data<'_>) -> Result<()>
where
    D: HostWithStore<T>,
    for<'a> D::Data<'a>: Host,
    T: 'static,
{
    io.func_wrap("receive", move |mut store: StoreContextMut<'_, T>, (): ()| Ok((host(store.data_mut()).receive()?,)))?;
    io.func_wrap("time", move |mut store: StoreContextMut<'_, T>, (): ()| Ok((host(store.data_mut()).time()?,)))?;
    io.func_wrap("log", move |mut store: StoreContextMut<'_, T>, (level, message): (Level, String)| {
        host(store.data_mut()).log(level, message)
    })?;
    Ok(())
}
