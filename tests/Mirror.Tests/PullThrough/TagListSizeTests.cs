using Mirror.PullThrough;
using Mirror.Storage;
using Xunit;

namespace Mirror.Tests.PullThrough;

public sealed class TagListSizeTests
{
    /// <summary>An upstream may answer with an empty list for every name that clients make up. The limit of the memory for lists must hold
    /// for these too. Through the product this would take tens of thousands of requests.</summary>
    [Fact]
    public void An_empty_list_takes_memory()
    {
        var name = RepositoryName.Parse(new string('a', RepositoryName.MaxLength));
        Assert.InRange(MirroredTagLists.SizeOf(name, []), 2 * RepositoryName.MaxLength + 500, 2000);
        Assert.True(MirroredTagLists.SizeOf(name, ["1"]) > MirroredTagLists.SizeOf(name, []));
    }
}
