package portfolio

// What this room keeps in Redis.
//
//	key           type     writer                      how it ends
//	rt:pf         channel  whoever committed a write,  a message ends when it was heard: {"u":user,"p":portfolio,"v":version}.
//	                       and the outbox's sweeper    No amounts: who hears it reads the rows in their owner's context.
//	rt:pf:import  channel  who takes a long import     a message ends when it was heard: {"u":user,"run":…,"phase":…,"done":…,"total":…}.
//	                                                   Counts of rows, no amounts.
const (
	newsChannel    = "rt:pf"
	importsChannel = "rt:pf:import"
)
