using Mirror.Tests.Peers;
using Mirror.Tls;
using Xunit;

namespace Mirror.Tests.Serving;

/// <summary>What is made of files while they are being replaced.</summary>
public sealed class RenewedFilesTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly List<string?> _reports = [];
    private readonly RenewedFiles<string> _pair;

    public RenewedFilesTests()
    {
        Write("a", "a");
        _pair = new RenewedFiles<string>(() => [_folder["certificate"], _folder["key"]], Make, TimeProvider.System)
        {
            Report = _reports.Add,
        };
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_pair_that_is_written_by_halves_is_used_when_it_is_whole()
    {
        Write("b", "a");
        Assert.Equal("a", Checked());
        Assert.Equal("a", Checked());
        // Once for each state of the files.
        Assert.Equal(["they do not belong together"], _reports);
        Write("b", "b");
        Assert.Equal("b", Checked());
        Assert.Equal(["they do not belong together", null], _reports);
        Assert.Equal("b", Checked());
        Assert.Equal(2, _reports.Count);
    }

    [Fact]
    public void A_missing_file_changes_nothing()
    {
        File.Delete(_folder["key"]);
        Assert.Equal("a", Checked());
        Assert.NotNull(Assert.Single(_reports));
        Write("a", "a");
        Assert.Equal("a", Checked());
    }

    private string Checked()
    {
        _pair.Check();
        return _pair.Current;
    }

    private void Write(string certificate, string key)
    {
        _folder.Write("certificate", certificate);
        _folder.Write("key", key);
    }

    private string Make()
    {
        var certificate = File.ReadAllText(_folder["certificate"]);
        return certificate == File.ReadAllText(_folder["key"]) ? certificate : throw new ArgumentException("they do not belong together");
    }
}
