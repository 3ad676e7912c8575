using Mirror.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>Each host has retries and circuit breakers of its own, within bounded memory.</summary>
public sealed class PipelineKeysTests
{
    private readonly Func<HttpRequestMessage, string> _keyOf = UpstreamHandlers.PipelineKeys();

    [Fact]
    public void A_host_and_port_keep_their_key_and_share_it_with_no_other()
    {
        string[] hosts = ["https://registry.example", "https://cdn.example", "https://registry.example:8443", "http://127.0.0.1:5000"];
        var keys = hosts.Select(Key).ToList();
        Assert.Equal(hosts.Length, keys.Distinct().Count());
        Assert.Equal(keys, hosts.Select(host => Key($"{host}/another/path")));
    }

    [Fact]
    public void Hosts_without_end_have_a_bounded_number_of_keys() =>
        Assert.InRange(Enumerable.Range(0, 5_000).Select(i => Key($"https://h{i}.example")).Distinct().Count(), 200, 256);

    private string Key(string url)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        return _keyOf(request);
    }
}
