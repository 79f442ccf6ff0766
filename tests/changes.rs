//! A guest that was changed on purpose: what differs is found where it is, and what does not matter is no difference.
