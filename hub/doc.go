// Package hub holds every connection of this process: upgrade, protocol, fan-out, close.
//
// # How a price travels
//
// The price book calls [Hub.tick]; the symbol's update is encoded once; a bit is set for each
// connection that watches the symbol; the shard's flusher visits the connections whose bit is set and
// hands each one joined write to the kernel. A connection keeps, for each symbol, only the number of
// the last update that it was given: whatever is newer at its next visit goes out. So a slow client
// gets fewer updates, never old ones, and costs the others nothing.
//
// # Who may do what
//
// Only the flusher of a connection's shard writes to its socket, and it never waits: what the kernel
// does not take is kept and tried again. Everyone else queues and marks. The reader goroutine, the only
// one that a connection owns, hands what clients say to a short-lived worker.
//
// An end is a mark: once [conn.ended] has returned, no application byte of that connection reaches the
// kernel, whatever was queued. The goodbye, the close frame and the cut after 250 ms follow from the mark.
//
// # Locks
//
// A room's own lock (portfolio, auth) → conn.mu → shard.mu or Hub.mu. The hub calls no other room while
// it holds one of its own locks, but for Sessions.Blind, which answers from memory. conn.mu is held over
// the one system call that cannot wait, because that is what makes the mark exact.
package hub
