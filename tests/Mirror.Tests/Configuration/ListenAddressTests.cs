using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;
using Mirror.Configuration;
using Xunit;

namespace Mirror.Tests.Configuration;

public sealed class ListenAddressTests
{
    [Theory]
    [InlineData(":5000", "", 5000)]
    [InlineData("0.0.0.0:5000", "0.0.0.0", 5000)]
    [InlineData("localhost:0", "localhost", 0)]
    [InlineData("[::1]:5000", "::1", 5000)]
    [InlineData("mirror.example:65535", "mirror.example", 65535)]
    public void Addresses_of_Go_are_read_and_written_back(string text, string host, int port)
    {
        var address = ListenAddress.Parse(text);

        Assert.Equal(new ListenAddress(host, port), address);
        Assert.Equal(text, address.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("5000")]
    [InlineData("localhost")]
    [InlineData("localhost:")]
    [InlineData("localhost:http")]
    [InlineData(":65536")]
    [InlineData(":-1")]
    [InlineData("::1:5000")]
    [InlineData("[127.0.0.1]:5000")]
    [InlineData("http://localhost:5000")]
    [InlineData("a b:5000")]
    public void Other_text_is_refused(string text) => Assert.False(ListenAddress.TryParse(text, out _));

    [Theory]
    [InlineData("localhost:5000", true, false)]
    [InlineData("127.0.0.2:5000", true, false)]
    [InlineData("[::1]:5000", true, false)]
    [InlineData(":5000", false, true)]
    [InlineData("0.0.0.0:5000", false, true)]
    [InlineData("[::]:5000", false, true)]
    [InlineData("10.0.0.1:5000", false, false)]
    public void Loopback_and_every_interface_are_recognized(string text, bool isLoopback, bool isAnyInterface)
    {
        var address = ListenAddress.Parse(text);

        Assert.Equal((isLoopback, isAnyInterface), (address.IsLoopback, address.IsAnyInterface));
    }

    [Theory]
    [InlineData("localhost:0")]
    [InlineData("127.0.0.1:0")]
    [InlineData(":0")]
    public async Task Kestrel_listens_at_the_address(string text)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.ConfigureKestrel(kestrel => ListenAddress.Parse(text).Listen(kestrel, Listener.Registry, _ => { }));
        builder.Logging.ClearProviders();
        await using var app = builder.Build();
        await app.StartAsync(TestContext.Current.CancellationToken);

        using var client = new HttpClient();
        var port = new Uri(Assert.Single(app.Urls)).Port;
        var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{port}/"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }
}
