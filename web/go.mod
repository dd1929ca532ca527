module github.com/batuta-tasks/batuta/web

go 1.26.0
