//! What every TCP server needs: a handler for each client, and an orderly end.

use crate::contract::{Error, Signal};
use crate::executor::{self, TaskId};
use crate::net::{Connection, Listen, Listener, listen};
use crate::signals::signals;
use crate::task::{Either, Task, race, spawn};
use crate::time::{sleep, with_timeout};
use crate::{info, warn};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How a server listens and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// The granted port.
    pub port: u16,
    /// While so many clients are connected, no more are accepted; they wait in the backlog.
    pub connections_max: u32,
    /// Whether the host may run several instances of the guest, a shard for each core, and
    /// distribute the clients among them. Instances share no memory: a guest that keeps a state
    /// between clients says `false`, and has one instance.
    pub shared: bool,
    /// How long clients that are still served may take when the server is told to stop. The host
    /// allows `stop_seconds_max` for all of it.
    pub grace: Duration,
}

/// After the system refused to give a connection, listening rests for so long: long enough not to
/// be a busy loop, short against what a client's own attempts to connect take.
const EXHAUSTED_REST: Duration = Duration::from_millis(100);

/// Serves clients: listens, starts `handler` as a task for each connection, and goes on until the
/// operator says stop. Then it accepts nobody any more, waits until all clients are served or the
/// grace period is over, drops those who are left, and returns.
///
/// Fails when the host cannot listen. That the system has no connection to give (`exhausted`) is
/// logged, and does not end the server; any other failure to accept ends it, and drops its
/// clients. A [`Server`] can do more.
pub async fn serve<H, F>(options: ServerOptions, handler: H) -> Result<(), Error>
where
    H: Fn(Client) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    Server::new(options).run(handler).await.map_err(|failed| failed.error)
}

/// A server that does more than [`serve`]: it listens on a second port, and hears the operator's
/// other wishes.
pub struct Server {
    options: ServerOptions,
    secondary: Option<SecondaryListener>,
    on_reload: Option<Box<dyn Fn() -> Later>>,
    on_stop: Option<Box<dyn FnOnce()>>,
    on_log_lost: Option<Box<dyn Fn(u64)>>,
}

/// What happens later: a handler, or a reload.
type Later = Pin<Box<dyn Future<Output = ()>>>;

/// A second port, and who serves its clients.
struct SecondaryListener {
    port: u16,
    connections_max: u32,
    handler: Box<dyn Fn(Client) -> Later>,
}

/// A port on which the host does not listen, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenError {
    /// The port, as it was asked for.
    pub port: u16,
    /// Why.
    pub error: Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listening on port {} failed: {}", self.port, self.error)
    }
}

impl std::error::Error for ListenError {}

impl Server {
    /// A server that does what [`serve`] does.
    pub fn new(options: ServerOptions) -> Server {
        Server { options, secondary: None, on_reload: None, on_stop: None, on_log_lost: None }
    }

    /// Serves the clients of a second port, which the operator has granted, with another handler.
    /// It listens as long as the server runs, also while that is stopping and only its last
    /// clients are served: so that a health check can say so. Those who are still connected then
    /// are dropped.
    pub fn secondary_listener<H, F>(mut self, port: u16, connections_max: u32, handler: H) -> Server
    where
        H: Fn(Client) -> F + 'static,
        F: Future<Output = ()> + 'static,
    {
        let handler = Box::new(move |client| Box::pin(handler(client)) as Later);
        self.secondary = Some(SecondaryListener { port, connections_max, handler });
        self
    }

    /// Calls a function when the operator wants the configuration to be read again, and runs what
    /// it returns as a task beside all clients. No two of them run at once: a wish that comes
    /// meanwhile is heard when the first has ended.
    pub fn on_reload<H, F>(mut self, reload: H) -> Server
    where
        H: Fn() -> F + 'static,
        F: Future<Output = ()> + 'static,
    {
        self.on_reload = Some(Box::new(move || Box::pin(reload())));
        self
    }

    /// Calls a function when the operator says stop, before any client is told.
    pub fn on_stop(mut self, stop: impl FnOnce() + 'static) -> Server {
        self.on_stop = Some(Box::new(stop));
        self
    }

    /// Calls a function when lines of this guest's log were lost, with their number since the last
    /// call: at most about once a second.
    pub fn on_log_lost(mut self, count: impl Fn(u64) + 'static) -> Server {
        self.on_log_lost = Some(Box::new(count));
        self
    }

    /// Serves until the operator says stop.
    pub async fn run<H, F>(self, handler: H) -> Result<(), ListenError>
    where
        H: Fn(Client) -> F + 'static,
        F: Future<Output = ()> + 'static,
    {
        let options = self.options;
        let (clients, handler) = (Rc::new(Clients::default()), Rc::new(handler));
        // Both ports are asked for at once, so that the operator is told soon of one that cannot
        // be had.
        let listening = Port::listen(options.port, options.connections_max, options.shared);
        let secondary =
            self.secondary.map(|it| (Port::listen(it.port, it.connections_max, options.shared), it.handler));
        let mut port = listening.await?;
        info!("listening on port {}", port.listener.port());
        let _secondary = match secondary {
            None => None,
            Some((listening, handler)) => {
                let port = listening.await?;
                info!("listening on port {} as well", port.listener.port());
                Some(CancelOnDrop(spawn(serve_secondary(port, handler))))
            }
        };
        let wishes = obey(Rc::clone(&clients), self.on_reload, self.on_stop, self.on_log_lost);
        let _ends_with_this = (CancelOnDrop(spawn(wishes)), DropClients(Rc::clone(&clients)));
        while let Either::Left(connection) = race(port.accept(), clients.stopped()).await {
            clients.start(connection?, &handler);
        }
        drop(port);
        info!("stopping: {} clients are still served", clients.served.borrow().len());
        if with_timeout(options.grace, clients.all_served()).await.is_err() {
            warn!("{} clients were not served within the grace period", clients.served.borrow().len());
        }
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Serves the clients of the second port, until this is dropped.
async fn serve_secondary(mut port: Port, handler: Box<dyn Fn(Client) -> Later>) {
    let (clients, handler) = (Rc::new(Clients::default()), Rc::new(handler));
    let _ends_with_this = DropClients(Rc::clone(&clients));
    loop {
        match port.accept().await {
            Ok(connection) => clients.start(connection, &handler),
            Err(error) => return warn!("{error}"),
        }
    }
}

/// A client of [`serve`] or of a [`Server`].
#[derive(Debug)]
pub struct Client {
    /// The connection with it.
    pub connection: Connection,
    clients: Rc<Clients>,
    waits: Rc<RefCell<Waits>>,
}

impl Client {
    /// Whether the server was told to stop: what is under way should be finished, and nothing
    /// begun.
    pub fn stopping(&self) -> bool {
        self.clients.stopping.get()
    }

    /// Waits for a future, and drops it when the server is told to stop first: for the waits of an
    /// idle client. What is ready at once is not dropped.
    pub async fn until_stop<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if self.stopping() {
                return Poll::Ready(None);
            }
            self.wake_on_stop(cx);
            Poll::Pending
        })
        .await
    }

    /// Most clients wait in one task: then this is one comparison after the first time.
    fn wake_on_stop(&self, cx: &Context<'_>) {
        let Waits { first, others } = &mut *self.waits.borrow_mut();
        if !first.iter().chain(others.iter()).any(|waker| waker.will_wake(cx.waker())) {
            match first {
                None => *first = Some(cx.waker().clone()),
                Some(_) => others.push(cx.waker().clone()),
            }
        }
    }
}

/// Who waits under one client's [`Client::until_stop`]. Shared by the client and the server.
#[derive(Debug, Default)]
struct Waits {
    /// Mostly the client's own task, and nobody else.
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Waits {
    fn wakers(self) -> impl Iterator<Item = Waker> {
        self.first.into_iter().chain(self.others)
    }
}

/// All that are served. Shared by the server, its clients, and the task that hears the operator.
#[derive(Debug, Default)]
struct Clients {
    stopping: Cell<bool>,
    /// By number. An entry is here until the client's task has ended.
    served: RefCell<BTreeMap<u64, Served>>,
    /// How many clients there ever were.
    count: Cell<u64>,
    /// The server, which waits for the stop, and then for the last client.
    server: RefCell<Option<Waker>>,
}

#[derive(Debug)]
struct Served {
    task: TaskId,
    waits: Rc<RefCell<Waits>>,
}

impl Clients {
    fn start<H, F>(self: &Rc<Self>, connection: Connection, handler: &Rc<H>)
    where
        H: Fn(Client) -> F + 'static,
        F: Future<Output = ()> + 'static,
    {
        let number = self.count.get();
        self.count.set(number + 1);
        let waits = Rc::<RefCell<Waits>>::default();
        let client = Client { connection, clients: Rc::clone(self), waits: Rc::clone(&waits) };
        let leaving = Leaving { clients: Rc::clone(self), number };
        let handler = Rc::clone(handler);
        // The handler is called within: a future that is moved into another one is in there twice,
        // and an idle client has little but its future.
        let task = executor::spawn(Box::pin(async move {
            let _ends_with_this = &leaving;
            handler(client).await;
        }));
        self.served.borrow_mut().insert(number, Served { task, waits });
    }

    fn stop(&self) {
        self.stopping.set(true);
        let idle: Vec<Waker> = self.served.borrow().values().flat_map(|served| served.waits.take().wakers()).collect();
        idle.iter().for_each(Waker::wake_by_ref);
        self.wake_server();
    }

    async fn stopped(&self) {
        self.wait_until(|clients| clients.stopping.get()).await;
    }

    async fn all_served(&self) {
        self.wait_until(|clients| clients.served.borrow().is_empty()).await;
    }

    async fn wait_until(&self, is_so: impl Fn(&Clients) -> bool) {
        std::future::poll_fn(|cx| {
            if is_so(self) {
                return Poll::Ready(());
            }
            *self.server.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn wake_server(&self) {
        let waker = self.server.borrow_mut().take();
        waker.inspect(Waker::wake_by_ref);
    }
}

/// Owned by a client's task: takes the client out when the task ends, however it does.
struct Leaving {
    clients: Rc<Clients>,
    number: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let left = self.clients.served.borrow_mut().remove(&self.number);
        drop(left);
        if self.clients.stopping.get() {
            self.clients.wake_server();
        }
    }
}

/// Owned by the server: drops those who are still served when it ends.
struct DropClients(Rc<Clients>);

impl Drop for DropClients {
    fn drop(&mut self) {
        let left = std::mem::take(&mut *self.0.served.borrow_mut());
        left.values().for_each(|served| executor::cancel(served.task));
    }
}

struct CancelOnDrop(Task<()>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A port on which the host listens, however often the system has no connection to give meanwhile.
struct Port {
    listener: Listener,
    wanted: Listen,
}

impl Port {
    /// Asks at once; the answer comes when the host listens.
    fn listen(port: u16, connections_max: u32, shared: bool) -> impl Future<Output = Result<Port, ListenError>> {
        let wanted = Listen { port, connections_max, shared };
        let listening = listen(wanted);
        async move {
            match listening.await {
                Ok(listener) => Ok(Port { listener, wanted }),
                Err(error) => Err(ListenError { port, error }),
            }
        }
    }

    /// The next connection.
    async fn accept(&mut self) -> Result<Connection, ListenError> {
        loop {
            match self.listener.accept().await {
                Err(Error::Exhausted) => {
                    warn!("the system has no connection to give; listening again in {EXHAUSTED_REST:?}");
                    sleep(EXHAUSTED_REST).await;
                    // A failure is final for the host, so this is a new request. When it fails
                    // alike, the rest is repeated.
                    match listen(Listen { port: self.listener.port(), ..self.wanted }).await {
                        Err(Error::Exhausted) => {}
                        again => self.listener = again.map_err(|error| self.failed(error))?,
                    }
                }
                connection => return connection.map_err(|error| self.failed(error)),
            }
        }
    }

    fn failed(&self, error: Error) -> ListenError {
        ListenError { port: self.wanted.port, error }
    }
}

/// Does what the operator wants, until he says stop. A server whose host has no signals runs until
/// the host ends it.
async fn obey(
    clients: Rc<Clients>,
    on_reload: Option<Box<dyn Fn() -> Later>>,
    on_stop: Option<Box<dyn FnOnce()>>,
    on_log_lost: Option<Box<dyn Fn(u64)>>,
) {
    let mut signals = signals();
    let reloads = on_reload.map(Reloads::new);
    loop {
        match signals.next().await {
            Ok(Signal::Stop) => {
                on_stop.into_iter().for_each(|stop| stop());
                return clients.stop();
            }
            Ok(Signal::Reload) => reloads.iter().for_each(Reloads::wish),
            Ok(Signal::Pause) => {}
            Ok(Signal::LogLost(lines)) => on_log_lost.iter().for_each(|count| count(lines)),
            Err(error) => return warn!("cannot receive signals: {error}"),
        }
    }
}

/// Reloads, one after the other.
struct Reloads {
    state: Rc<ReloadState>,
}

struct ReloadState {
    reload: Box<dyn Fn() -> Later>,
    running: Cell<bool>,
    /// Another was wished for while one ran.
    again: Cell<bool>,
}

impl Reloads {
    fn new(reload: Box<dyn Fn() -> Later>) -> Reloads {
        Reloads { state: Rc::new(ReloadState { reload, running: Cell::new(false), again: Cell::new(false) }) }
    }

    fn wish(&self) {
        self.state.again.set(true);
        if self.state.running.replace(true) {
            return;
        }
        let state = Rc::clone(&self.state);
        spawn(async move {
            while state.again.take() {
                (state.reload)().await;
            }
            state.running.set(false);
        });
    }
}
