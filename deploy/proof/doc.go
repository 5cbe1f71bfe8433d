// Package proof runs the program as operators do, in processes of its own and under clients that write down everything, and
// measures what deploy/ and docs/ promise: the migration, the set-up of three servers, a soak, a busy server's secrets.
package proof
