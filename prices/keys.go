package prices

// Keys of this room in Redis. {prices} keeps them in one slot of a cluster, because one script touches
// several of them.
//
//	key                     type     writer                     how it ends
//	{prices}:last           hash     publish.lua                never: symbol → "n ms price source"
//	{prices}:lead:FEED      string   the server that leads      1.5 s after its last renewal
//	{prices}:want:screen    zset     every server               members by their score (Unix ms), after 10 s
//	{prices}:want:held      zset     every server               as above
//	{prices}:ticks          channel  publish.lua, every server  –
//	prices:ingest           stream   other programs             their MAXLEN
//	prices:ingest:read      string   the leader of ingest       never: the place where reading goes on
const (
	keyLast       = "{prices}:last"
	keyLead       = "{prices}:lead:"
	keyScreen     = "{prices}:want:screen"
	keyHeld       = "{prices}:want:held"
	channelTicks  = "{prices}:ticks"
	keyIngest     = "prices:ingest"
	keyIngestRead = "prices:ingest:read"
)
