package auth

import (
	"net"
	"strings"
)

// keyspaceEvents is what notify-keyspace-events has to hold: K keyspace channels, g deletions, x expiry, e eviction.
const keyspaceEvents = "Kgxe"

// provider is a managed Redis and how its events are switched on.
type provider struct {
	name    string
	domains []string // its servers' names end so; none: it is reached by address
	do      string
}

var providers = []provider{
	{"your own server", nil, "redis-cli CONFIG SET notify-keyspace-events Kgxe, and the line 'notify-keyspace-events Kgxe' in redis.conf so that it survives a restart"},
	{"AWS ElastiCache", []string{".cache.amazonaws.com"}, "aws elasticache modify-cache-parameter-group --cache-parameter-group-name GROUP " +
		"--parameter-name-values ParameterName=notify-keyspace-events,ParameterValue=Kgxe (a group of your own: a default one cannot be changed; takes effect at once)"},
	{"Google Memorystore", nil, "gcloud redis instances update INSTANCE --region=REGION --update-redis-config=notify-keyspace-events=Kgxe"},
	{"Azure Managed Redis, Azure Cache Enterprise", []string{".redis.azure.net", ".redisenterprise.cache.azure.net"},
		"set the database's property notifyKeyspaceEvents to Kgxe (ARM or Bicep: Microsoft.Cache/redisEnterprise/databases)"},
	{"Azure Cache for Redis", []string{".redis.cache.windows.net"}, "portal: Advanced settings, notify-keyspace-events = Kgxe"},
	{"Redis Cloud", []string{".redislabs.com", ".redis-cloud.com"}, "redis-cli CONFIG SET notify-keyspace-events Kgxe"},
	{"Upstash", []string{".upstash.io"}, "redis-cli CONFIG SET notify-keyspace-events Kgxe (the one parameter that it lets you set)"},
	{"Heroku", []string{".compute-1.amazonaws.com", ".compute.amazonaws.com"}, "heroku redis:keyspace-notifications --config Kgxe --app APP"},
	{"DigitalOcean", []string{".db.ondigitalocean.com"}, "doctl databases configuration update ID --engine redis --config-json '{\"redis_notify_keyspace_events\":\"Kgxe\"}'"},
	{"Aiven", []string{".aivencloud.com"}, "avn service update SERVICE -c redis_notify_keyspace_events=Kgxe"},
	{"Oracle OCI Cache", []string{".oci.oraclecloud.com"}, "it cannot be set there; sharded clusters lack EVAL as well and cannot be used"},
}

// enableEvents is the instruction for the server at addr: one where its provider can be told, else all.
func enableEvents(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	if ip := net.ParseIP(host); host == "localhost" || strings.HasPrefix(host, "/") || ip != nil && ip.IsLoopback() {
		return providers[0].do
	}
	for _, p := range providers {
		for _, domain := range p.domains {
			if strings.HasSuffix(strings.ToLower(host), domain) {
				return p.name + ": " + p.do
			}
		}
	}
	lines := []string{"set notify-keyspace-events to " + keyspaceEvents + ":"}
	for _, p := range providers {
		lines = append(lines, "  "+p.name+": "+p.do)
	}
	return strings.Join(lines, "\n")
}
