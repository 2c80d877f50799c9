-- What both of the driver's sockets pass on unchanged to the socket that they hold in `sock`.

return function()
    local transport = {}
    transport.__index = transport

    function transport:connect(host, port)
        return self.sock:connect(host, port)
    end

    function transport:send(bytes)
        return self.sock:send(bytes)
    end

    function transport:receive(count)
        return self.sock:receive(count)
    end

    function transport:close()
        return self.sock:close()
    end

    return transport
end
