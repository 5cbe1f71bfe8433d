package prices

// Keys of this room in Redis. {prices} keeps them in one slot of a cluster, because the script that
// publishes touches several.
//
//	key                     type     writer                     how it ends
//	prices:ingest           stream   other programs             their MAXLEN
//	prices:ingest:read      string   the leader of ingest       never; the place where reading goes on
const (
	keyIngest     = "prices:ingest"
	keyIngestRead = "prices:ingest:read"
)
