-- wrk -s post.lua URL -- FILE TYPE: sends the file with every request and ends with a line of JSON.
function init(args)
   local file = assert(io.open(args[1], "rb"))
   wrk.method, wrk.body = "POST", file:read("*a")
   wrk.headers["Content-Type"] = args[2]
   file:close()
end

function done(summary, latency)
   local of = summary.errors
   local failed = of.connect + of.read + of.write + of.status + of.timeout
   local line = '\n{"answers": %d, "failed": %d, "seconds": %f}\n'
   io.write(string.format(line, summary.requests, failed, summary.duration / 1e6))
end
