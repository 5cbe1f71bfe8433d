// Package check holds the files of deploy/ against the schemas of the programs that read them.
package check
